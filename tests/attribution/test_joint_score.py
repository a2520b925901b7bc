from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nplight import RULES, open_vit
from nplight.attribution import clean_pass, path_score, plain_joint_score
from nplight.vit import undisturbed
from tests.attribution.problems import problem
from tests.conftest import make_vit
from tests.searching.test_search import EXACT


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("pool", ["token", "avg"])
def test_it_equals_the_oracle_in_chunks_of_any_size(images: Tensor, targets: Tensor, pool: str, rule: str) -> None:
    vit = open_vit(make_vit(global_pool=pool))
    neurons = torch.stack([torch.randperm(64, generator=torch.Generator().manual_seed(n))[:2] for n in range(12)])
    neurons = neurons.view(4, 3, 2)
    with undisturbed(vit.model):
        clean = clean_pass(vit, images)
        expected = plain_joint_score(vit, images, targets, neurons, steps=3, rule=rule)
        for chunk_size in (1, 5, 99):
            score = path_score(problem(vit, clean, targets, steps=3, rule=rule, chunk_size=chunk_size), neurons)
            torch.testing.assert_close(score, expected, **EXACT)
            assert not score.requires_grad
