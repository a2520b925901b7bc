from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import legendre

from nplight import RULES
from nplight.attribution import gauss_rule, quadrature
from nplight.attribution.gauss_rules import gauss_rule_of
from nplight.errors import ArgumentError

EXACT = {"rtol": 0, "atol": 1e-13}


def moments(nodes: torch.Tensor, weights: torch.Tensor, degree: int) -> torch.Tensor:
    """Sums of the Legendre polynomials on [0, 1] up to a degree."""
    values = torch.from_numpy(legendre.legvander(np.asarray(2 * nodes - 1), degree))
    return weights @ values


@given(rule=st.sampled_from(list(RULES)), steps=st.integers(2, 60), data=st.data())
@settings(max_examples=80, deadline=None)
def test_it_sums_polynomials_of_degree_2n_minus_1_as_the_rule_does(rule: str, steps: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, steps))
    gauss = gauss_rule(count, steps, rule)
    expected = moments(*quadrature(steps, rule), 2 * count - 1)
    torch.testing.assert_close(moments(gauss.nodes, gauss.weights, 2 * count - 1), expected, **EXACT)
    assert (gauss.weights > 0).all()
    assert (gauss.nodes.diff() > 0).all()
    first, last = quadrature(steps, rule)[0][[0, -1]]
    assert first <= gauss.nodes[0]
    assert gauss.nodes[-1] <= last
    assert gauss.weights.sum().item() == pytest.approx(1, abs=1e-13)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("steps", [2, 20, 1000])
def test_with_every_node_it_is_the_rule_itself(rule: str, steps: int) -> None:
    gauss, (nodes, weights) = gauss_rule(steps, steps, rule), quadrature(steps, rule)
    assert torch.equal(gauss.nodes, nodes)
    assert torch.equal(gauss.weights, weights)
    few, degree = gauss_rule(steps - 1, steps, rule), min(steps, 2 * steps - 3)
    torch.testing.assert_close(moments(few.nodes, few.weights, degree), moments(nodes, weights, degree), **EXACT)


@given(rule=st.sampled_from(list(RULES)), steps=st.integers(8, 40), count=st.integers(2, 8), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_coefficients_are_those_of_an_expansion(rule: str, steps: int, count: int, seed: int) -> None:
    """A polynomial of degree n - 1 is the sum of its coefficients times the polynomials, and the first is its sum."""
    gauss, (nodes, weights) = gauss_rule(count, steps, rule), quadrature(steps, rule)
    drawn = torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).numpy()
    values = torch.from_numpy(legendre.legval(np.asarray(2 * gauss.nodes - 1), drawn))
    coefficients = gauss.polynomials @ values
    everywhere = torch.from_numpy(legendre.legval(np.asarray(2 * nodes - 1), drawn))
    torch.testing.assert_close(coefficients[0], weights @ everywhere, rtol=1e-10, atol=1e-12)
    # Parseval: the polynomials are orthonormal for the rule.
    torch.testing.assert_close(coefficients.square().sum(), weights @ everywhere.square(), rtol=1e-9, atol=1e-12)


def test_several_measures_at_once_are_one_by_one() -> None:
    nodes = torch.rand(5, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64).sort(1).values
    weights = quadrature(12, "trapezoid")[1]
    several = gauss_rule_of(nodes, weights, 4)
    for image in range(5):
        single = gauss_rule_of(nodes[image], weights, 4)
        torch.testing.assert_close(several.nodes[image], single.nodes, **EXACT)
        torch.testing.assert_close(several.polynomials[image], single.polynomials, **EXACT)


@pytest.mark.parametrize("count", [0, 21])
def test_the_number_of_nodes_is_checked(count: int) -> None:
    with pytest.raises(ArgumentError, match="`count` must be"):
        gauss_rule(count, 20)
