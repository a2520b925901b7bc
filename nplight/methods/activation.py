"""Search by the clean activation, the simplest baseline (of Wang et al., ICLR 2025, among others)."""

from __future__ import annotations

from torch import Tensor

from nplight.attribution import Problem


def activation(problem: Problem) -> list[Tensor]:
    """Score of a neuron: its clean value, signed, summed over the path tokens; independent of the target."""
    return [problem.clean.values[layer].sum(1) for layer in range(problem.vit.depth)]
