from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nplight import open_vit
from nplight.attribution import NodeRows, clean_pass, clean_streams, target_probability, token_gradients
from nplight.vit import undisturbed
from tests.attribution.problems import problem
from tests.conftest import make_vit
from tests.searching.test_search import EXACT


@pytest.mark.parametrize("pool", ["token", "avg"])
def test_they_are_those_of_the_rest_of_the_model_from_each_block_on(images: Tensor, targets: Tensor, pool: str) -> None:
    vit = open_vit(make_vit(global_pool=pool))
    with undisturbed(vit.model):
        streams = clean_streams(vit, clean_pass(vit, images))
        search = problem(vit, clean_pass(vit, images), targets)
        gradients = token_gradients(search, 1, streams[1], NodeRows(0, len(images), 1))
        assert len(gradients) == 2
        for layer, gradient in enumerate(gradients, start=1):
            leaf = streams[layer].clone().requires_grad_()
            probability = target_probability(vit.forward_from(layer + 1, leaf), targets)
            (expected,) = torch.autograd.grad(probability.sum(), leaf)
            torch.testing.assert_close(gradient, expected[:, vit.path_tokens], **EXACT)
