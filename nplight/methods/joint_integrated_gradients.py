"""Layer-progressive search by joint integrated gradients, a score that adds up to the effect of the path.

Every neuron has a gate, 1 at rest, that multiplies its running value at the path tokens. The score of candidate i of
layer l is Σ_k ω_k ∂F/∂gate_i with the gates of the path chosen so far and all gates of layer l at α_k. The score of a
path, Σ_k ω_k Σ_p ∂F/∂gate_p, converges to F(clean) − F(path removed): integrated gradients (Sundararajan, Taly and Yan,
ICML 2017) of the path's gates, along the line from 0 to 1. It is nplight's own repair of the joint attribution score of
Wang et al. (ICLR 2025), whose product of sums pays an inert loud neuron for the gradient of others.
"""

from __future__ import annotations

from torch import Tensor

from nplight.attribution import (
    Evaluate,
    GateRows,
    PathScores,
    Problem,
    Settled,
    choose_layer_by_layer,
    few_counts,
    path_sums,
    settle,
    settle_first_layer,
)


def joint_integrated_gradients(problem: Problem) -> PathScores:
    """The path of the `top_k` neurons of largest joint integrated gradients per layer, the others running free."""
    return _progressive(problem, held=False)


def joint_integrated_gradients_held(problem: Problem) -> PathScores:
    """The variant with the other neurons of the path's layers held at their clean values.

    It differs from the paper's score by the cross terms alone.
    """
    return _progressive(problem, held=True)


def gate_scores(problem: Problem, prefix: Tensor) -> Settled:
    """The scores of a layer's neurons after a given path, for a joint search of a category's images.

    Args:
        problem: the search.
        prefix: (images, l, K) int64, the path in the layers before l.

    Returns:
        (images, width), float32 at least.
    """
    return _after(problem, prefix, held=False)


def gate_scores_held(problem: Problem, prefix: Tensor) -> Settled:
    """As `gate_scores`, with the other neurons of the path's layers held at their clean values."""
    return _after(problem, prefix, held=True)


def _progressive(problem: Problem, *, held: bool) -> PathScores:
    nothing = problem.targets.new_zeros(len(problem.targets), 0, problem.top_k)
    return choose_layer_by_layer(problem, lambda part: _Gates(part, held), _evaluate(nothing, held))


def _after(problem: Problem, prefix: Tensor, *, held: bool) -> Settled:
    evaluate = _evaluate(prefix, held)
    if prefix.shape[1]:
        return settle(problem, evaluate, few_counts(problem))
    return settle_first_layer(problem, evaluate)


def _evaluate(prefix: Tensor, held: bool) -> Evaluate:
    def evaluate(part: Problem, images: Tensor) -> list[Tensor]:
        rows, path = GateRows(part, held=held), prefix[images]
        for layer in range(path.shape[1]):
            rows.advance(layer, path[:, layer])
        return [rows.sums(path.shape[1])]

    return evaluate


class _Gates:
    """Gated node rows that go through the layers in order (`LayerRows`)."""

    def __init__(self, problem: Problem, held: bool) -> None:
        self._problem = problem
        self._rows = GateRows(problem, held=held)
        self._passing = False

    def sums(self, layer: int) -> Tensor:
        self._passing = False
        return self._rows.sums(layer)

    def pass_by(self, layer: int) -> None:
        self._passing = True  # the layer runs when its path is known

    def choose(self, layer: int, neurons: Tensor) -> None:
        if self._passing:
            self._rows.advance(layer, neurons)
        else:
            self._rows.keep(layer, neurons)

    def keep(self, images: Tensor) -> None:
        self._problem = self._problem.of(images)
        self._rows.restrict(self._problem, images)

    def path_sums(self, path: Tensor) -> Tensor:
        return path_sums(self._problem, path)
