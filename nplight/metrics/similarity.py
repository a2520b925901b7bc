"""How alike the paths of two categories are."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.errors import ArgumentError, check_at_least
from nplight.metrics.frequency import NeuronCounts, overlaps

Pair = tuple[int, int, float]
"""Two categories, the lower first, and their similarity."""


def category_similarity(frequency: NeuronCounts) -> Tensor:
    """Cosine between the frequency maps (layers x neurons, flattened) of every two categories.

    Returns:
        (categories, categories) float64 in [0, 1]; NaN for categories without images.
    """
    shared = overlaps(frequency.counts)
    norm = shared.diagonal().sqrt()
    # Rounding may carry the cosine of equal maps past 1.
    return (shared / norm / norm[:, None]).clamp(max=1)


def similar_pairs(similarity: Tensor, count: int) -> tuple[list[Pair], list[Pair]]:
    """The most and the least similar pairs of categories.

    Args:
        similarity: (categories, categories), of which the part above the diagonal is read; NaN is left out.
        count: how many pairs of each; fewer if there are not as many.

    Returns:
        Most similar first, and least similar first, as (a, b, similarity) with a < b; of equal ones lower a, b first.

    Raises:
        ArgumentError: `similarity` is not square, or `count` below 1.
    """
    check_at_least("count", count, 1)
    if similarity.ndim != 2 or similarity.shape[0] != similarity.shape[1]:
        raise ArgumentError(f"`similarity` must be (categories, categories), got {tuple(similarity.shape)}")
    first, second = torch.triu_indices(len(similarity), len(similarity), 1, device=similarity.device)
    values = similarity[first, second]
    defined = ~values.isnan()
    first, second, values = first[defined], second[defined], values[defined]

    def best(descending: bool) -> list[Pair]:
        order = values.argsort(descending=descending, stable=True)[:count]
        return list(zip(first[order].tolist(), second[order].tolist(), values[order].tolist()))

    return best(descending=True), best(descending=False)
