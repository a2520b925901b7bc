from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nplight import RULES
from nplight.attribution import gauss_rule, quadrature
from nplight.attribution.mapped_rule import mapped_rule


def streams(seed: int, size: float = 1.0) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    u, d = torch.randn(2, 6, 16, generator=draw, dtype=torch.float64)
    return u * size, d


def normed(u: Tensor, d: Tensor, alpha: Tensor) -> Tensor:
    """A feature of the LayerNorm of u + α d: (images, nodes)."""
    stream = u[:, None] + alpha[..., None] * d[:, None]
    return torch.nn.functional.layer_norm(stream, stream.shape[-1:], eps=0)[..., 0]


@pytest.mark.parametrize("rule", RULES)
def test_it_sums_what_a_norm_makes_of_the_line_far_better_than_the_plain_rule(rule: str) -> None:
    u, d = streams(0, size=0.2)  # the norm nearly vanishes at alpha = 0
    nodes, weights = quadrature(20, rule)
    expected = (weights * normed(u, d, nodes.expand(6, -1))).sum(1)
    mapped, plain = mapped_rule(u, d, 9, 20, rule), gauss_rule(9, 20, rule)
    of_mapped = ((mapped.weights * normed(u, d, mapped.nodes)).sum(1) - expected).abs().max()
    of_plain = ((plain.weights * normed(u, d, plain.nodes.expand(6, -1))).sum(1) - expected).abs().max()
    assert of_mapped < 1e-7
    assert of_mapped < 0.01 * of_plain


def test_weights_are_positive_and_nodes_stay_on_the_line() -> None:
    mapped = mapped_rule(*streams(1), 7, 30, "midpoint")
    nodes = quadrature(30, "midpoint")[0]
    assert (mapped.weights > 0).all()
    torch.testing.assert_close(mapped.weights.sum(1), torch.ones(6, dtype=torch.float64))
    assert (mapped.nodes >= nodes[0]).all()
    assert (mapped.nodes <= nodes[-1]).all()
    torch.testing.assert_close(mapped.polynomials[:, 0], mapped.weights)


@pytest.mark.parametrize("u_size", [1.0, 0.0])
@pytest.mark.parametrize("d_size", [0.0, 1e-9])
def test_without_poles_it_is_the_plain_rule(u_size: float, d_size: float) -> None:
    u, d = streams(2)
    if u_size == d_size == 0:
        u_size = 1.0  # both streams zero has no line at all
    mapped, plain = mapped_rule(u * u_size, d * d_size, 6, 20, "riemann-left"), gauss_rule(6, 20)
    if u_size:
        torch.testing.assert_close(mapped.nodes, plain.nodes.expand(6, -1), rtol=0, atol=1e-6)
    assert mapped.nodes.isfinite().all()


def test_an_image_has_the_rule_that_it_has_alone() -> None:
    u, d = streams(3)
    together = mapped_rule(u, d, 6, 20, "riemann-left")
    for image in range(6):
        alone = mapped_rule(u[[image]], d[[image]], 6, 20, "riemann-left")
        torch.testing.assert_close(together.nodes[[image]], alone.nodes, rtol=0, atol=1e-13)


def test_a_stream_that_vanishes_on_the_line_is_no_obstacle() -> None:
    _, d = streams(4)
    mapped = mapped_rule(-0.4 * d, d, 6, 20, "riemann-left")
    assert mapped.nodes.isfinite().all()
    assert mapped.polynomials.isfinite().all()
