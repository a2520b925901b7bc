"""Rankings by score: best first, the lower index first among equal scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


@dataclass(frozen=True, slots=True)
class PathScores:
    """The rankings of a group of images, and the scores of their paths.

    Attributes:
        ranking: (images, layers, R) int64, best first.
        ranking_scores: (images, layers, R).
        scores: (images,), the joint attribution score of the path that holds the first K neurons of each layer.
    """

    ranking: Tensor
    ranking_scores: Tensor
    scores: Tensor


class Best(NamedTuple):
    """The best neurons of a layer, in order.

    Attributes:
        neurons: (…, count) int64.
        scores: (…, count).
    """

    neurons: Tensor
    scores: Tensor


def best_first(scores: Tensor, count: int) -> Best:
    """The `count` neurons of largest score: (…, width) -> (…, count).

    The sort is stable: of equal scores the lower index comes first, on every device.
    """
    ordered = scores.sort(dim=-1, descending=True, stable=True)
    return Best(ordered.indices[..., :count], ordered.values[..., :count])
