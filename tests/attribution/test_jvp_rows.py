from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nplight import open_vit
from nplight.attribution import clean_pass
from nplight.attribution.engine_rows import EngineRows
from nplight.attribution.jvp_rows import JVPRows
from nplight.attribution.vjp_rows import VJPRows
from nplight.vit import undisturbed
from tests.attribution.problems import problem
from tests.conftest import make_vit
from tests.searching.test_search import EXACT


@pytest.mark.parametrize("chunk_size", [1, 3, 99])
def test_for_one_path_token_jvp_and_vjp_give_the_same(images: Tensor, targets: Tensor, chunk_size: int) -> None:
    """Two ways to the gradient and to the path's derivative, for the same corrections after every block."""
    vit = open_vit(make_vit())
    draw = torch.Generator().manual_seed(3)
    changes = torch.randn(3, 4, 2, 1, 16, generator=draw, dtype=torch.float64)
    directions = torch.randn(3, 4, 1, 16, generator=draw, dtype=torch.float64)

    def run(kind: type[EngineRows]) -> list[Tensor]:
        search = problem(vit, clean_pass(vit, images), targets, steps=2, chunk_size=chunk_size)
        rows, results = kind(search, torch.zeros(4, 2, 1, 16, dtype=torch.float64)), []
        for layer in range(3):
            results += rows.advance(layer, search.clean.values[layer])
            rows.correct(changes[layer], directions[layer])
        return [*results, *rows.advance(3)]

    with undisturbed(vit.model):
        by_jvp, by_vjp = run(JVPRows), run(VJPRows)
    assert len(by_jvp) == 8
    for one, other in zip(by_jvp, by_vjp):
        torch.testing.assert_close(one, other, **EXACT)
    assert (by_jvp[1] == 0).all()  # no path yet
    assert (by_jvp[3] != 0).all()
