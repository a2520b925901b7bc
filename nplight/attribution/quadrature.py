"""Quadrature rules for the integral over alpha in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nplight.errors import ArgumentError, check_at_least, check_choice

MAX_STEPS = 10_000

Rule = Literal["riemann-left", "riemann-right", "midpoint", "trapezoid", "gauss-legendre"]


def _riemann_left(steps: int) -> tuple[Tensor, Tensor]:
    return _indices(steps) / steps, _equal(steps)


def _riemann_right(steps: int) -> tuple[Tensor, Tensor]:
    return (_indices(steps) + 1) / steps, _equal(steps)


def _midpoint(steps: int) -> tuple[Tensor, Tensor]:
    return (_indices(steps) + 0.5) / steps, _equal(steps)


def _trapezoid(steps: int) -> tuple[Tensor, Tensor]:
    if steps < 2:
        raise ArgumentError(f"`steps` must be at least 2 for the rule 'trapezoid', got {steps}")
    weights = torch.full((steps,), 1 / (steps - 1), dtype=torch.float64)
    weights[[0, -1]] /= 2
    return _indices(steps) / (steps - 1), weights


def _gauss_legendre(steps: int) -> tuple[Tensor, Tensor]:
    nodes, weights = np.polynomial.legendre.leggauss(steps)  # on [-1, 1], summing to 2
    return torch.from_numpy(nodes + 1) / 2, torch.from_numpy(weights) / 2


def _indices(steps: int) -> Tensor:
    return torch.arange(steps, dtype=torch.float64)


def _equal(steps: int) -> Tensor:
    return torch.full((steps,), 1 / steps, dtype=torch.float64)


RULES: Mapping[str, Callable[[int], tuple[Tensor, Tensor]]] = MappingProxyType(
    {
        "riemann-left": _riemann_left,
        "riemann-right": _riemann_right,
        "midpoint": _midpoint,
        "trapezoid": _trapezoid,
        "gauss-legendre": _gauss_legendre,
    }
)


def quadrature(steps: int = 20, rule: str = "riemann-left") -> tuple[Tensor, Tensor]:
    """Nodes alpha_k in [0, 1] and weights omega_k with sum 1.

    `riemann-left` is what the paper's published program uses, `riemann-right` its Eq. 3.

    Args:
        steps: number of nodes, m.
        rule: one of `RULES`.

    Returns:
        Nodes (m,) in ascending order and weights (m,), float64.

    Raises:
        ArgumentError: an unknown rule, or fewer steps than the rule needs.

    Examples:
        >>> from nplight.attribution import quadrature
        >>> nodes, weights = quadrature(4, "midpoint")
        >>> nodes.tolist(), weights.tolist()
        ([0.125, 0.375, 0.625, 0.875], [0.25, 0.25, 0.25, 0.25])
    """
    check_choice("rule", rule, RULES)
    check_at_least("steps", steps, 1)
    if steps > MAX_STEPS:
        raise ArgumentError(f"`steps` must be at most {MAX_STEPS}, got {steps}; 20 are usual")
    return RULES[rule](steps)


def integral(weights: Tensor, values: Tensor) -> Tensor:
    """Weighted sum over nodes: (m,) or, an image's own, (images, m); (images, m, …) -> (images, …).

    Element-wise, since autocast would round a matrix product to half precision.

    Examples:
        >>> import torch
        >>> from nplight.attribution import integral, quadrature
        >>> nodes, weights = quadrature(5, "gauss-legendre")
        >>> round(float(integral(weights, (nodes**2)[None])), 6)  # of one image, from 0 to 1
        0.333333
    """
    return (weights.reshape(*weights.shape, *[1] * (values.ndim - 2)) * values).sum(1)
