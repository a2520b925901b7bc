"""Problems as a search makes them of a group of images."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from nplight.attribution import CleanPass, Problem, quadrature
from nplight.vit import OpenViT


def problem(
    vit: OpenViT,
    clean: CleanPass,
    targets: Tensor,
    *,
    steps: int = 4,
    rule: str = "riemann-left",
    chunk_size: int = 99,
    **settings: Any,
) -> Problem:
    """The search over a clean pass; for an undisturbed model."""
    nodes, weights = (values.to(clean.values[0]) for values in quadrature(steps, rule))
    return Problem(vit, clean, targets, nodes, weights, chunk_size, rule, **settings)
