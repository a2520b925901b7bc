from __future__ import annotations

import pytest
import torch
from torch import Tensor

import nplight
from nplight import open_vit, search
from nplight.errors import ArgumentError
from tests.conftest import make_vit
from tests.methods.definitions import Plain, greedy_removal
from tests.searching.test_search import EXACT


@pytest.mark.parametrize("pool", ["token", "avg"])
def test_of_several_neurons_each_is_measured_with_those_before_it_removed(
    images: Tensor, targets: Tensor, pool: str
) -> None:
    model = make_vit(global_pool=pool)
    actual = search(model, images[:2], targets[:2], method="greedy_removal", top_k=2, ranked=64, steps=2)
    linears = [down.linear for down in open_vit(model).down]
    tokens = [0] if pool == "token" else [1, 2, 3, 4]
    for image in range(2):
        plain = Plain(model, linears, images[[image]], int(targets[image]), tokens, top_k=2)
        for layer, expected in enumerate(greedy_removal(plain)):
            scores = torch.zeros_like(expected).scatter(
                0, actual.ranking[image, layer], actual.ranking_scores[image, layer]
            )
            torch.testing.assert_close(scores, expected, **EXACT)
    # The changes add up to the effect of the whole path.
    torch.testing.assert_close(actual.neuron_scores.sum((1, 2)), actual.effect, **EXACT)


def test_the_best_of_few_candidates_is_taken(images: Tensor, targets: Tensor) -> None:
    model = make_vit()
    every = search(model, images, targets, method="greedy_removal", candidates=64, steps=20)
    few = search(model, images, targets, method="greedy_removal", candidates=8, steps=20)
    one = search(model, images, targets, method="greedy_removal", candidates=1, steps=20)
    scored = search(model, images, targets, method="joint_integrated_gradients", steps=20)
    assert torch.equal(one.neurons, scored.neurons)
    assert (every.neuron_scores[:, 0] >= few.neuron_scores[:, 0]).all()
    assert (few.neuron_scores[:, 0] >= one.neuron_scores[:, 0]).all()


def test_no_candidate_is_refused(images: Tensor) -> None:
    with pytest.raises(ArgumentError, match="`candidates` must be an integer of at least 1, got 0"):
        nplight.search(make_vit(), images, method="greedy_removal", candidates=0)
