"""Layer-progressive search by joint integrated gradients, a score that adds up to the effect of the path.

Every neuron has a gate, 1 at rest, that multiplies its running value at the path tokens. The score of candidate i of
layer l is Σ_k ω_k ∂F/∂gate_i with the gates of the path chosen so far and all gates of layer l at α_k. The score of a
path, Σ_k ω_k Σ_p ∂F/∂gate_p, converges to F(clean) − F(path removed): integrated gradients (Sundararajan, Taly and Yan,
ICML 2017) of the path's gates, along the line from 0 to 1. It is nplight's own repair of the joint attribution score of
Wang et al. (ICLR 2025), whose product of sums pays an inert loud neuron for the gradient of others.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from nplight.attribution import GateRows, PathScores, Problem, best_first, path_score


class GatedLayers(Protocol):
    """Node rows that score the gates of one layer after the other, as `GateRows` do."""

    def scores(self, layer: int) -> Tensor:
        """The scores of a layer's neurons: (images, width)."""

    def keep(self, layer: int, path: Tensor) -> None:
        """After `scores`: the path (images, K) of the layer is chosen."""

    def advance(self, layer: int, path: Tensor) -> None:
        """Pass a layer with its path (images, K) given."""


def joint_integrated_gradients(problem: Problem) -> PathScores:
    """The path of the `top_k` neurons of largest joint integrated gradients per layer, the others running free."""
    return progressive(problem, GateRows(problem))


def joint_integrated_gradients_held(problem: Problem) -> PathScores:
    """The variant with the other neurons of the path's layers held at their clean values.

    It differs from the paper's score by the cross terms alone.
    """
    return progressive(problem, GateRows(problem, held=True))


def gate_scores(problem: Problem, prefix: Tensor) -> Tensor:
    """The scores of a layer's neurons after a given path, for a joint search of a category's images.

    Args:
        problem: the search.
        prefix: (images, l, K) int64, the path in the layers before l.

    Returns:
        (images, width), float32 at least.
    """
    return scores_after(GateRows(problem), prefix)


def gate_scores_held(problem: Problem, prefix: Tensor) -> Tensor:
    """As `gate_scores`, with the other neurons of the path's layers held at their clean values."""
    return scores_after(GateRows(problem, held=True), prefix)


def progressive(problem: Problem, rows: GatedLayers) -> PathScores:
    """The path of the `top_k` neurons of largest score per layer, each layer scored after those before it."""
    layers = []
    for layer in range(problem.vit.depth):
        best = best_first(rows.scores(layer), problem.ranked)
        rows.keep(layer, best.neurons[:, : problem.top_k])
        layers.append(best)
    ranking = torch.stack([best.neurons for best in layers], 1)
    return PathScores(
        ranking=ranking,
        ranking_scores=torch.stack([best.scores for best in layers], 1),
        scores=path_score(problem, ranking[..., : problem.top_k]),
    )


def scores_after(rows: GatedLayers, prefix: Tensor) -> Tensor:
    """The scores of the layer after the path (images, l, K): (images, width)."""
    for layer in range(prefix.shape[1]):
        rows.advance(layer, prefix[:, layer])
    return rows.scores(prefix.shape[1])
