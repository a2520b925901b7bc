"""Gauss rules of a quadrature rule: the same sum from fewer nodes.

The m nodes of a rule are a discrete measure μ = Σ_k ω_k δ(α_k). Its n-point Gauss rule has n nodes and positive
weights, and sums every polynomial of degree 2n - 1 exactly as the m nodes do (Gautschi, "Orthogonal Polynomials:
Computation and Approximation", 2004, sections 2.2 and 3.1). It stands for the rule's own sum, not for the integral.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from nplight.attribution.quadrature import quadrature
from nplight.errors import ArgumentError, check_at_least


@dataclass(frozen=True, slots=True)
class GaussRule:
    """The n-point Gauss rule of a measure of m nodes, or one such rule per image.

    Attributes:
        nodes: (…, n) float64, ascending, between the measure's first and last node.
        weights: (…, n) float64, positive, with sum 1.
        polynomials: (…, n, n) float64, w_k p_j(α_k) for degree j and node k: its product with the values of a function
            at the nodes gives the coefficients of the function in the measure's orthonormal polynomials p_j.

    Examples:
        >>> import torch
        >>> from nplight.attribution import gauss_rule, quadrature
        >>> every = quadrature(20, "riemann-left")  # 20 nodes
        >>> rule = gauss_rule(4, 20, "riemann-left")  # 4 nodes with the same sum of every polynomial of degree 7
        >>> torch.allclose((rule.weights * rule.nodes**7).sum(), (every[1] * every[0] ** 7).sum())
        True
    """

    nodes: Tensor
    weights: Tensor
    polynomials: Tensor


@lru_cache(maxsize=256)
def gauss_rule(count: int, steps: int = 20, rule: str = "riemann-left") -> GaussRule:
    """The Gauss rule of `quadrature(steps, rule)` with `count` nodes; with `steps` nodes it is the rule itself.

    Args:
        count: nodes of the Gauss rule, n.
        steps: nodes of the rule, m.
        rule: one of `RULES`.

    Raises:
        ArgumentError: an unknown rule, or `count` outside 1 … m.
    """
    nodes, weights = quadrature(steps, rule)
    check_at_least("count", count, 1)
    if count > steps:
        raise ArgumentError(f"`count` must be at most `steps` = {steps}, the nodes of the rule itself, got {count}")
    gauss = gauss_rule_of(nodes, weights, count)
    return gauss if count < steps else replace(gauss, nodes=nodes, weights=weights)


def gauss_rule_of(nodes: Tensor, weights: Tensor, count: int) -> GaussRule:
    """The Gauss rule of a discrete measure (Golub and Welsch 1969).

    Args:
        nodes: (…, m) float64, distinct and ascending; several measures at once.
        weights: (m,) float64, positive, with sum 1.
        count: nodes of the Gauss rule, n ≤ m.
    """
    diagonal, off_diagonal = _recurrence(nodes, weights, count)
    jacobi = torch.diag_embed(diagonal)
    if count > 1:
        jacobi = jacobi + torch.diag_embed(off_diagonal, 1) + torch.diag_embed(off_diagonal, -1)
    eigenvalues, vectors = torch.linalg.eigh(jacobi)
    vectors = vectors * torch.where(vectors[..., :1, :] < 0, -1.0, 1.0)
    first = vectors[..., 0, :]
    return GaussRule(eigenvalues.clamp(nodes[..., :1], nodes[..., -1:]), first.square(), first.unsqueeze(-2) * vectors)


def _recurrence(nodes: Tensor, weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The Jacobi matrix, (…, n) and (…, n - 1), by the Lanczos process with full reorthogonalisation."""
    basis = nodes.new_zeros(*nodes.shape[:-1], count, nodes.shape[-1])
    diagonal, off_diagonal = [], []
    vector = weights.sqrt().expand_as(nodes)
    for degree in range(count):
        length = vector.norm(dim=-1, keepdim=True)
        basis[..., degree, :] = vector / length
        off_diagonal.append(length.squeeze(-1))
        vector = nodes * basis[..., degree, :]
        diagonal.append((vector * basis[..., degree, :]).sum(-1))
        known = basis[..., : degree + 1, :]
        for _ in range(2):  # a second time, since the first leaves the rounding of what it removes
            vector = vector - (known.mT @ (known @ vector.unsqueeze(-1))).squeeze(-1)
    return torch.stack(diagonal, -1), torch.stack(off_diagonal, -1)[..., 1:]
