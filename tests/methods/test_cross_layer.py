from __future__ import annotations

import torch
from torch import Tensor

from nplight import search
from tests.conftest import make_vit
from tests.methods.test_table import all_scores


def test_the_last_layer_is_gradient_times_activation_in_size_and_none_is_negative(
    images: Tensor, targets: Tensor
) -> None:
    vit = make_vit()
    scores = all_scores(search(vit, images, targets, method="cross_layer", ranked=64))
    product = all_scores(search(vit, images, targets, method="gradient_activation", ranked=64))
    torch.testing.assert_close(scores[:, -1], product[:, -1].abs())
    assert (scores >= 0).all()


def test_a_layer_is_scored_by_the_neurons_chosen_after_it(images: Tensor, targets: Tensor) -> None:
    """More neurons chosen add to the scores of the layers before, and leave the last layer as it is."""
    vit = make_vit()
    few, more = (
        all_scores(search(vit, images, targets, method="cross_layer", top_k=top_k, ranked=64)) for top_k in (1, 3)
    )
    torch.testing.assert_close(few[:, 2], more[:, 2])
    assert (more[:, 1] >= few[:, 1]).all()
    assert (more[:, 1] > few[:, 1]).any()


def test_what_cannot_reach_the_next_layer_has_no_score(images: Tensor, targets: Tensor) -> None:
    vit = make_vit()
    with torch.no_grad():
        vit.blocks[0].mlp.fc2.weight[:, 7] = 0
    scores = all_scores(search(vit, images, targets, method="cross_layer", ranked=64))
    assert (scores[:, 0, 7] == 0).all()
    assert (scores[:, 0, 8] > 0).all()
