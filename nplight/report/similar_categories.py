"""Which categories use the same neurons, and whose paths keep the accuracy of a category."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nplight.metrics import similar_pairs
from nplight.report.run_data import Run
from nplight.report.search_data import MOST_IN_MATRIX, NEAREST

_LISTED = 10
_NOTHING_IN_COMMON = 0.0005

Pair = tuple[int, int, float]


@dataclass(frozen=True, slots=True)
class SimilarCategories:
    """Pairs of categories by the cosine of their neurons.

    Attributes:
        most: most similar first.
        least: least similar first; empty if there are more pairs without a neuron in common than it would list.
        apart: number of pairs without a neuron in common.
    """

    most: list[Pair]
    least: list[Pair]
    apart: int


def similar_categories(similarity: Tensor) -> SimilarCategories:
    """The most and the least similar pairs of categories.

    Args:
        similarity: (categories, categories); NaN is left out.
    """
    most, least = similar_pairs(similarity, _LISTED)
    above = torch.triu(torch.ones_like(similarity, dtype=torch.bool), 1)
    apart = int((above & (similarity < _NOTHING_IN_COMMON)).sum())
    shown = [pair for pair in most if pair[2] >= _NOTHING_IN_COMMON]
    return SimilarCategories(shown, [] if apart > _LISTED else least, apart)


def kept_best(run: Run) -> dict[str, Any] | None:
    """Of many categories, the paths that keep most of each category's accuracy; `None` for few, shown as a matrix.

    `own` is the accuracy with the category's own path kept alone, `best` the best other paths as number and accuracy.
    """
    accuracy = run.selectivity.get("accuracy")
    if not accuracy or len(accuracy) <= MOST_IN_MATRIX:
        return None
    values = torch.from_numpy(np.array(accuracy, dtype=np.float64))  # NaN in place of None
    others = values.clone().fill_diagonal_(-1).nan_to_num(nan=-1)
    best, places = others.topk(NEAREST, dim=1)
    return {
        "own": [None if value != value else round(value, 4) for value in values.diagonal().tolist()],
        "best": [
            [[place, round(value, 4)] for place, value in zip(*row) if value >= 0]
            for row in zip(places.tolist(), best.tolist())
        ],
    }
