from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import nplight
from nplight.attribution import OBJECTIVES
from tests.conftest import make_vit
from tests.searching.test_search import EXACT


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("pool", ["token", "avg"])
@pytest.mark.parametrize("method", ["jas", "activation", "random"])
def test_the_effect_is_what_a_removal_does_to_the_objective(
    images: Tensor, targets: Tensor, method: str, pool: str, objective: str
) -> None:
    model = make_vit(global_pool=pool)
    options: dict[str, Any] = {"method": method, "top_k": 2, "steps": 3, "objective": objective}
    paths = nplight.search(model, images, targets, **options)
    with torch.no_grad():
        clean = OBJECTIVES[objective](model(images), targets)
        with nplight.intervene(model, paths, "remove"):
            removed = OBJECTIVES[objective](model(images), targets)
    torch.testing.assert_close(paths.effect, clean - removed, **EXACT)
    torch.testing.assert_close(nplight.search(model, images, targets, chunk_size=1, **options).effect, paths.effect)
