from __future__ import annotations

import pytest
import torch

from nplight import RULES
from nplight.attribution import integral, quadrature
from nplight.errors import ArgumentError


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("steps", [2, 3, 20, 64])
def test_weights_sum_to_one_and_nodes_lie_in_order_in_the_interval(rule: str, steps: int) -> None:
    nodes, weights = quadrature(steps, rule)
    assert nodes.shape == weights.shape == (steps,)
    assert nodes.dtype == weights.dtype == torch.float64
    assert weights.sum().item() == pytest.approx(1, abs=1e-14)
    assert (weights > 0).all()
    assert (nodes.diff() > 0).all()
    assert nodes.min() >= 0
    assert nodes.max() <= 1


@pytest.mark.parametrize(
    ("rule", "nodes"),
    [
        ("riemann-left", [0, 0.25, 0.5, 0.75]),
        ("riemann-right", [0.25, 0.5, 0.75, 1]),
        ("midpoint", [0.125, 0.375, 0.625, 0.875]),
        ("trapezoid", [0, 1 / 3, 2 / 3, 1]),
    ],
)
def test_nodes_are_those_of_the_rule(rule: str, nodes: list[float]) -> None:
    torch.testing.assert_close(quadrature(4, rule)[0], torch.tensor(nodes, dtype=torch.float64))


# The highest power that m nodes integrate exactly.
@pytest.mark.parametrize(
    ("rule", "steps", "degree"),
    [
        ("riemann-left", 7, 0),
        ("riemann-right", 7, 0),
        ("midpoint", 7, 1),
        ("trapezoid", 7, 1),
        ("gauss-legendre", 7, 13),
    ],
)
def test_powers_up_to_the_degree_of_the_rule_are_exact_and_no_more(rule: str, steps: int, degree: int) -> None:
    nodes, weights = quadrature(steps, rule)
    for power in range(degree + 1):
        assert (weights * nodes**power).sum().item() == pytest.approx(1 / (power + 1), rel=1e-12)
    power = degree + 1
    assert abs((weights * nodes**power).sum().item() - 1 / (power + 1)) > 1e-12


@pytest.mark.parametrize(
    ("steps", "rule", "reason"),
    [
        (0, "midpoint", "`steps` must be an integer of at least 1, got 0"),
        (2.5, "midpoint", "`steps` must be an integer"),
        (True, "midpoint", "`steps` must be an integer"),
        (1, "trapezoid", "`steps` must be at least 2 for the rule 'trapezoid', got 1"),
        (4, "simpson", "`rule` must be one of 'riemann-left', .* got 'simpson'"),
    ],
)
def test_bad_arguments_are_refused(steps: int, rule: str, reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        quadrature(steps, rule)


def test_an_integral_is_summed_in_full_precision_under_autocast() -> None:
    """A product of matrices would be rounded to half precision there."""
    _, weights = quadrature(20)
    values = torch.rand(3, 20, 5, 4, generator=torch.Generator().manual_seed(0))
    expected = torch.einsum("k,bktd->btd", weights, values.double())
    with torch.autocast("cpu", torch.bfloat16):
        actual = integral(weights.float(), values)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual.double(), expected, rtol=1e-6, atol=1e-7)
