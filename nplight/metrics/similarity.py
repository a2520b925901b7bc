"""Similarity of the paths of two categories."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from nplight.errors import ArgumentError, check_at_least
from nplight.metrics.bootstrap import poisson_weights
from nplight.metrics.frequency import NeuronCounts, overlaps
from nplight.metrics.replicates import Replicates

Pair = tuple[int, int, float]
"""Two categories, the lower first, and their similarity."""


def category_similarity(frequency: NeuronCounts) -> Tensor:
    """Cosine between the frequency maps (layers x neurons, flattened) of each pair of categories.

    Returns:
        (categories, categories) float64 in [0, 1]; NaN for categories without images.
    """
    shared = overlaps(frequency.counts)
    norm = shared.diagonal().sqrt()
    # Rounding may give equal maps a cosine above 1.
    return (shared / norm / norm[:, None]).clamp(max=1)


def pair_similarity(
    neurons: tuple[Tensor, Tensor], keys: tuple[Tensor, Tensor], *, replicates: int = 1000, seed: int = 0
) -> Replicates:
    """The cosine of two categories' frequency maps with replicates over images, for `estimate`.

    It is computed from the number of neurons that each pair of images shares.

    Args:
        neurons: of the images of each category, (images, layers, K) int64.
        keys: (images,) int64, identifies each of the same images.
        replicates: number of weightings; 0 for none.
        seed: of the weights.

    Returns:
        Values (1 + replicates,); `images` counts both categories.
    """
    weights = [pad(poisson_weights(key, replicates=replicates, seed=seed), (1, 0), value=1).double() for key in keys]

    def product(first: int, second: int) -> Tensor:
        shared = _shared(neurons[first], neurons[second])
        return (weights[first] * (shared @ weights[second])).sum(0)

    cosine = product(0, 1) / (product(0, 0) * product(1, 1)).sqrt()
    return Replicates(cosine.clamp(max=1), torch.tensor(sum(map(len, keys))))


def _shared(first: Tensor, second: Tensor) -> Tensor:
    """Common neurons per pair of images, summed over layers: (images, layers, K) twice -> (images, others)."""
    total = torch.zeros(len(first), len(second), dtype=torch.float64, device=first.device)
    for first_layer, second_layer in zip(first.unbind(1), second.unbind(1)):
        for neuron in first_layer.unbind(1):
            total += (neuron[:, None, None] == second_layer).any(-1)
    return total


def similar_pairs(similarity: Tensor, count: int) -> tuple[list[Pair], list[Pair]]:
    """The most and the least similar pairs of categories.

    Args:
        similarity: (categories, categories); the part above the diagonal is read, NaN is left out.
        count: maximum number of pairs per list.

    Returns:
        Pairs (a, b, similarity) with a < b, most similar first and least similar first; ties are in order of a, b.

    Raises:
        ArgumentError: `similarity` is not square, or `count` is below 1.
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
