"""Replicates of a mean over categories from a bounded number of replicates of each category.

A mean over categories divides by the weight of each category, which is known at the end. Its replicates therefore need
a state per category. That state is bounded: with many categories each has fewer replicates of its own. The images of
two categories have independent weights, so the replicates of different categories may be combined in any order. The
variance of the mean is the sum of the categories' variances, each of which may be known roughly when they are many.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_STORED = 64_000
_FEWEST = 16


def replicates_of_category(replicates: int, categories: int) -> int:
    """Replicates that are stored for each category: all of them for up to 64 categories with the default of 1,000.

    It depends on nothing but these two numbers, so that differences between methods stay paired.

    Args:
        replicates: of the mean over categories.
        categories: number of categories.
    """
    return min(replicates, max(_FEWEST, _STORED // categories))


def mean_over_categories(sums: Tensor, weights: Tensor, replicates: int) -> Tensor:
    """Mean of the categories' means, with its replicates; a category without weight in a replicate is left out of it.

    The first replicates combine the stored replicates of equal number. Each following round combines them anew, with
    those of category c moved by c places more, so that two categories seldom meet in the same replicates.

    Args:
        sums: (categories, 1 + stored replicates), weighted sums of each category's images.
        weights: (categories, 1 + stored replicates), weights of each category's images.
        replicates: of the mean over categories.

    Returns:
        (1 + replicates,) float64.
    """
    means = sums.double() / weights
    return torch.cat([means[:, :1].nanmean(0), *_rounds(means[:, 1:], replicates)])


def _rounds(means: Tensor, replicates: int) -> Iterator[Tensor]:
    categories, stored = means.shape
    rotation = torch.arange(categories, device=means.device)[:, None]
    for start in range(0, replicates, max(1, stored)):
        places = torch.arange(min(stored, replicates - start), device=means.device)
        yield means.gather(1, (places + start // stored * rotation) % stored).nanmean(0)
