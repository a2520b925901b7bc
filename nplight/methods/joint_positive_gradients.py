"""Layer-progressive search by the positive part of joint integrated gradients, which finds neurons that have a backup.

Where another neuron makes up for one that is scaled down, the objective falls at first and rises again as the other
wakes: the derivative changes its sign along the line, and its integral, the effect of the removal, is near 0. The score
of candidate i of layer l is Σ_k ω_k max(0, ∂F/∂gate_i), with gates as in `joint_integrated_gradients`: by how much the
objective rises through the neuron, where it does. Once the neuron is on the path, its backup is awake along the line
and is scored by what it does then. The method is nplight's own. The scores do not add up to the effect of the path.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nplight.attribution import GateRows, PathScores, Problem, integral
from nplight.methods.joint_integrated_gradients import progressive, scores_after


class PositiveGateRows:
    """Node rows whose neurons are gated, one `GateRows` per node, as the sign of the derivative counts at each.

    Args:
        problem: the search.
    """

    def __init__(self, problem: Problem) -> None:
        self._weights = problem.weights
        one = torch.ones_like(problem.weights[:1])
        self._nodes = [GateRows(replace(problem, nodes=node, weights=one)) for node in problem.nodes.split(1)]

    def scores(self, layer: int) -> Tensor:
        """Σ_k ω_k max(0, ∂F/∂gate) of every neuron of a layer, with all gates of the layer at α: (images, width)."""
        return integral(self._weights, torch.stack([rows.scores(layer).relu() for rows in self._nodes], 1))

    def keep(self, layer: int, path: Tensor) -> None:
        """After `scores`: only the gates of the path (images, K) of the layer stay at α, the others open again."""
        for rows in self._nodes:
            rows.keep(layer, path)

    def advance(self, layer: int, path: Tensor) -> None:
        """Run a layer with the gates of the path (images, K) at α, without scores."""
        for rows in self._nodes:
            rows.advance(layer, path)


def joint_positive_gradients(problem: Problem) -> PathScores:
    """The path of the `top_k` neurons of largest positive joint gradients per layer."""
    return progressive(problem, PositiveGateRows(problem))


def positive_gate_scores(problem: Problem, prefix: Tensor) -> Tensor:
    """The scores of a layer's neurons after a given path, for a joint search of a category's images.

    Args:
        problem: the search.
        prefix: (images, l, K) int64, the path in the layers before l.

    Returns:
        (images, width), float32 at least.
    """
    return scores_after(PositiveGateRows(problem), prefix)
