from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nplight.attribution import error_estimate, gauss_rule, quadrature, unsettled

Function = Callable[[Tensor], Tensor]

ANALYTIC: dict[str, Function] = {
    "exponential": lambda x: torch.exp(2 * x),
    "pole": lambda x: 1 / (x + 0.8),
    "near pole": lambda x: 1 / ((x - 0.4) ** 2 + 0.09),
    "root": lambda x: (x * x + 0.04).sqrt(),
    "oscillation": lambda x: torch.cos(7 * x),
    "sigmoid": lambda x: torch.sigmoid(12 * (x - 0.3)),
}
ROUGH: dict[str, Function] = {
    "step": lambda x: torch.sigmoid(400 * (x - 0.52)),
    "kink": lambda x: (x - 0.37).abs(),
    "spike": lambda x: torch.exp(-((x - 0.5) ** 2) * 3000),
}


def coefficients(*functions: Function, count: int, steps: int = 20) -> tuple[Tensor, Tensor]:
    """Of neurons with these values at the nodes, (1, n, width), and their sums over all nodes, (1, width)."""
    gauss, (nodes, weights) = gauss_rule(count, steps), quadrature(steps)
    values = torch.stack([function(gauss.nodes) for function in functions], 1)
    sums = weights @ torch.stack([function(nodes) for function in functions], 1)
    return (gauss.polynomials @ values)[None], sums[None]


@pytest.mark.parametrize("count", [6, 8, 12])
@pytest.mark.parametrize("name", ANALYTIC)
def test_the_error_is_not_above_the_estimate(name: str, count: int) -> None:
    found, sums = coefficients(ANALYTIC[name], count=count)
    error = (found[:, 0] - sums).abs()
    assert (error <= error_estimate(found) + 1e-14).all()


@pytest.mark.parametrize("count", [6, 8, 10, 12])
@pytest.mark.parametrize("name", ROUGH)
def test_what_few_nodes_cannot_sum_is_not_settled(name: str, count: int) -> None:
    found, _ = coefficients(ROUGH[name], count=count)
    assert unsettled(found, top_k=1, ranked=1, tolerance=1e-4).all()


def test_a_smooth_choice_is_settled_and_a_close_one_is_not() -> None:
    clear, _ = coefficients(torch.exp, lambda x: 0.5 * torch.exp(x), count=8)
    close, _ = coefficients(ANALYTIC["near pole"], lambda x: ANALYTIC["near pole"](x) * (1 - 1e-6), count=8)
    assert not unsettled(clear, top_k=1, ranked=2, tolerance=1e-6).any()
    assert unsettled(close, top_k=1, ranked=1, tolerance=0.5).all()
    # Both are chosen: which is first is no question.
    assert not unsettled(close, top_k=2, ranked=2, tolerance=0.5).any()


def test_equal_scores_are_never_settled() -> None:
    found, _ = coefficients(torch.exp, torch.exp, count=8)
    assert unsettled(found, top_k=1, ranked=1, tolerance=1e-2).all()
    assert unsettled(torch.zeros(2, 8, 5), top_k=1, ranked=1, tolerance=1e-2).all()


def test_the_tolerance_is_relative_to_the_score() -> None:
    found, sums = coefficients(ANALYTIC["pole"], count=6)
    estimate = (error_estimate(found) / sums.abs()).item()
    for scale in (1e-9, 1.0, 1e9):
        assert unsettled(found * scale, top_k=1, ranked=1, tolerance=estimate * 0.9).all()
        assert not unsettled(found * scale, top_k=1, ranked=1, tolerance=estimate * 1.1).any()


def test_candidates_beyond_the_ranked_need_no_score() -> None:
    found, _ = coefficients(torch.exp, lambda x: 0.01 * ANALYTIC["near pole"](x), count=8)
    assert not unsettled(found[..., :1], top_k=1, ranked=1, tolerance=1e-7).any()
    assert unsettled(found, top_k=0, ranked=2, tolerance=1e-12).all()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_not_finite_is_not_settled(bad: float) -> None:
    found, _ = coefficients(torch.exp, lambda x: 0.5 * torch.exp(x), count=8)
    found[0, :, 0] = bad  # as a node that is not finite makes them
    assert unsettled(found, top_k=1, ranked=1, tolerance=1e-3).all()


def test_rounding_is_never_asked_for() -> None:
    """In float32 a tolerance below what a sum can be right to is that of the dtype."""
    found, _ = coefficients(torch.exp, lambda x: 0.5 * torch.exp(x), count=12)
    assert not unsettled(found.float(), top_k=1, ranked=1, tolerance=1e-9).any()
