from __future__ import annotations

import torch
from torch import Tensor

from nplight import open_vit
from nplight.attribution import plain_gate_path_score, plain_gate_scores
from nplight.vit import undisturbed
from tests.conftest import make_vit
from tests.searching.test_search import EXACT


def test_in_the_first_layer_a_gate_is_a_value_scaled(images: Tensor, targets: Tensor) -> None:
    """Before any path, gates are integrated gradients of the layer; held or free is the same."""
    vit = open_vit(make_vit())
    nothing = torch.zeros(4, 0, 1, dtype=torch.int64)
    with undisturbed(vit.model):
        free = plain_gate_scores(vit, images, targets, nothing, steps=5)
        held = plain_gate_scores(vit, images, targets, nothing, steps=5, held=True)
        torch.testing.assert_close(free, held, **EXACT)
        # All gates of layer 0 closed: the layer removed.
        every = plain_gate_scores(vit, images, targets, nothing, steps=32, rule="gauss-legendre").sum(1)
        path = torch.arange(64).expand(4, 1, 64)
        torch.testing.assert_close(
            plain_gate_path_score(vit, images, targets, path, steps=32, rule="gauss-legendre"), every, **EXACT
        )
