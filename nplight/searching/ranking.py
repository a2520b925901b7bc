"""The ranking of a method's scores, and the joint score of the path of its first neurons."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from nplight.attribution import PathScores, Problem, RankedLayers, Settled, path_score


def rank(problem: Problem, result: Sequence[Tensor] | Settled | PathScores) -> PathScores:
    """The neurons of each layer by score, and the joint attribution score of the path of the first K.

    Args:
        problem: the search.
        result: of the method: per layer (images, width), larger is better, with the evaluations that they took or, of a
            method without an integral, alone; or rankings, returned unchanged.
    """
    if isinstance(result, PathScores):
        return result
    scores, evaluations = (result.scores, result.evaluations) if isinstance(result, Settled) else (result, 0)
    ranked = RankedLayers.of(problem)
    for layer, scores_of_layer in enumerate(scores):
        ranked.add(scores_of_layer, 0 if layer else evaluations)
    return ranked.with_scores(path_score(problem, ranked.path))
