"""Layer-progressive search by the positive part of joint integrated gradients, which finds neurons that have a backup.

Where another neuron makes up for one that is scaled down, the objective falls at first and rises again as the other
wakes: the derivative changes its sign along the line, and its integral, the effect of the removal, is near 0. The score
of candidate i of layer l is Σ_k ω_k max(0, ∂F/∂gate_i), with gates as in `joint_integrated_gradients`: by how much the
objective rises through the neuron, where it does. Once the neuron is on the path, its backup is awake along the line
and is scored by what it does then. The method is nplight's own. The scores do not add up to the effect of the path.

The positive part is not smooth in α: every node is evaluated, whatever the tolerance.
"""

from __future__ import annotations

from torch import Tensor

from nplight.attribution import GateRows, PathScores, Problem, RankedLayers, Settled, path_score


def joint_positive_gradients(problem: Problem) -> PathScores:
    """The path of the `top_k` neurons of largest positive joint gradients per layer."""
    rows, chosen = GateRows(problem, positive=True), RankedLayers.of(problem)
    for layer in range(problem.vit.depth):
        rows.keep(layer, chosen.add(rows.scores(layer), problem.steps))
    return chosen.with_scores(path_score(problem, chosen.path))


def positive_gate_scores(problem: Problem, prefix: Tensor) -> Settled:
    """The scores of a layer's neurons after a given path, for a joint search of a category's images.

    Args:
        problem: the search.
        prefix: (images, l, K) int64, the path in the layers before l.

    Returns:
        (images, width), float32 at least.
    """
    rows, layers = GateRows(problem, positive=True), prefix.shape[1]
    for layer in range(layers):
        rows.advance(layer, prefix[:, layer])
    return Settled([rows.scores(layers)], problem.targets.new_full((len(prefix),), problem.steps))
