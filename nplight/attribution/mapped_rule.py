"""The Gauss rule of layer 0, in a variable in which its integrand is smooth.

At layer 0 the class token's stream at α is u + α d: u without the FFN's output, d the output. The LayerNorm after it
divides by the norm of u + α d, which vanishes at two complex α = a ± ib. Where b is small, polynomials in α approximate
the integrand badly. With α = a + b sinh t the norm is |d| b cosh t, whose zeros are far away: the m nodes are a measure
in t too, and its Gauss rule sums polynomials in t (as Tee and Trefethen, "A Rational Spectral Collocation Method with
Adaptively Transformed Chebyshev Grid Points", 2006, map poles away).
"""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.gauss_rules import GaussRule, gauss_rule_of
from nplight.attribution.quadrature import quadrature

# Beyond this height the map is a straight line to all digits that count.
_STRAIGHT = 1e3
_LOWEST = 1e-3


def mapped_rule(without: Tensor, output: Tensor, count: int, steps: int, rule: str) -> GaussRule:
    """One Gauss rule per image, in the variable t of that image.

    Args:
        without: (images, features), the stream that leaves block 0 at the path token without the FFN's output, u.
        output: (images, features), the FFN's output, d.
        count: nodes of each rule, n.
        steps: nodes of the rule, m.
        rule: one of `RULES`.

    Returns:
        Nodes α (images, n), weights and polynomials in t, float64, on the CPU.
    """
    centre, height = _poles(without, output)
    nodes, weights = quadrature(steps, rule)
    gauss = gauss_rule_of(torch.asinh((nodes - centre) / height), weights, count)
    alpha = (centre + height * gauss.nodes.sinh()).clamp(nodes[0], nodes[-1])
    return GaussRule(alpha, gauss.weights, gauss.polynomials)


def _poles(without: Tensor, output: Tensor) -> tuple[Tensor, Tensor]:
    """A and b > 0 where |u + α d| vanishes, with the mean over features taken off: (images, 1) each, on the CPU."""
    u, d = ((values - values.mean(1, keepdim=True)).cpu().double() for values in (without, output))
    scale = (u.square() + d.square()).sum(1, keepdim=True)
    size = d.square().sum(1, keepdim=True)
    flat = size <= scale * _STRAIGHT**-2
    size = torch.where(flat, 1.0, size)
    centre = -(u * d).sum(1, keepdim=True) / size
    height = (u.square().sum(1, keepdim=True) / size - centre.square()).clamp_min(_LOWEST**2).sqrt()
    return torch.where(flat, 0.0, centre), torch.where(flat, _STRAIGHT, height.clamp_max(_STRAIGHT))
