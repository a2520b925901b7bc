"""Areas under ROC curves, with intervals over images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

Values = np.ndarray
REPLICATES = 1000


def auroc(values: Values, positive: Values) -> float:
    """The share of pairs of a positive and a negative image in which the positive one has the larger value.

    Args:
        values: (images,), of which equal ones count half.
        positive: (images,) bool, with both kinds.
    """
    count = int(positive.sum())
    return float((rankdata(values)[positive].sum() - count * (count + 1) / 2) / (count * (len(values) - count)))


def with_intervals(
    scores: Sequence[Values], positive: Values, *, replicates: int = REPLICATES, seed: int = 0
) -> tuple[list[list[float]], list[list[float]]]:
    """The area of several scores, and its difference to that of the first, with 95% intervals.

    The bootstrap draws positive and negative images, each by themselves, and the same ones for every score.

    Returns:
        Value, low and high per score: of the areas, and of the differences.
    """
    draw = np.random.default_rng(seed)
    kinds = [np.flatnonzero(positive), np.flatnonzero(~positive)]
    drawn = [np.concatenate([draw.choice(kind, len(kind)) for kind in kinds]) for _ in range(replicates)]
    areas = np.array([[auroc(values[rows], positive[rows]) for rows in drawn] for values in scores])
    found = np.array([auroc(values, positive) for values in scores])
    return _estimates(found, areas), _estimates(found - found[0], areas - areas[0])


def _estimates(values: Values, replicates: Values) -> list[list[float]]:
    low, high = np.quantile(replicates, [0.025, 0.975], axis=1)
    return np.stack([values, low, high], 1).tolist()
