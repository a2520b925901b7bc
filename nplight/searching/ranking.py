"""The ranking of a method's scores, and the joint score of the path of its first neurons."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nplight.attribution import PathScores, Problem, best_first, path_score


def rank(problem: Problem, scores: Sequence[Tensor] | PathScores) -> PathScores:
    """The neurons of each layer by score, and the joint attribution score of the path of the first K.

    Args:
        problem: the search.
        scores: the result of the method: per layer (images, width), larger is better; or rankings, returned unchanged.
    """
    if isinstance(scores, PathScores):
        return scores
    best = [best_first(layer, problem.ranked) for layer in scores]
    ranking = torch.stack([layer.neurons for layer in best], 1)
    return PathScores(
        ranking=ranking,
        ranking_scores=torch.stack([layer.scores for layer in best], 1),
        scores=path_score(problem, ranking[..., : problem.top_k]),
    )
