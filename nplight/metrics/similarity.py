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

    The products of the maps are means over pairs of different images. With pairs of an image and itself the maps of few
    images would be longer, and their cosines smaller, than those of many.

    Returns:
        (categories, categories) float64 in [0, 1]; NaN for categories with fewer than two images, or whose images have
        no neuron in common.

    Examples:
        >>> import torch
        >>> from nplight.metrics import neuron_frequency, category_similarity
        >>> neurons = torch.tensor([[[0], [2]], [[0], [3]], [[1], [3]], [[1], [3]]])  # (images, layers, K)
        >>> counts = neuron_frequency(neurons, torch.tensor([0, 0, 1, 1]), num_classes=2, width=4)
        >>> category_similarity(counts)
        tensor([[1.0000, 0.3536],
                [0.3536, 1.0000]], dtype=torch.float64)
    """
    images = frequency.images.reshape(-1).double()
    neurons = torch.sparse.sum(frequency.counts, (1, 2)).to_dense().double()
    pairs = images.outer(images) - images.diag()
    product = (overlaps(frequency.counts) - neurons.diag()) / pairs
    norm = product.diagonal().sqrt()
    # Of different images, a cosine may be above 1 by chance.
    return (product / norm / norm[:, None]).clamp(max=1)


def pair_similarity(
    neurons: tuple[Tensor, Tensor], keys: tuple[Tensor, Tensor], *, replicates: int = 1000, seed: int = 0
) -> Replicates:
    """The cosine of two categories' frequency maps with replicates over images, for `estimate`.

    It is computed from the number of neurons that each pair of different images shares, as in `category_similarity`;
    pairs of a resampled image with itself are left out. The interval is over the images of both categories.

    Args:
        neurons: of the images of each category, (images, layers, K) int64.
        keys: (images,) int64, identifies each of the same images.
        replicates: number of weightings; 0 for none.
        seed: of the weights.

    Returns:
        Values (1 + replicates,); `images` counts both categories.

    Examples:
        >>> import torch
        >>> from nplight.metrics import estimate, pair_similarity
        >>> three, eight = torch.tensor([[[0], [2]], [[0], [3]]]), torch.tensor([[[1], [3]], [[1], [3]]])
        >>> round(estimate(pair_similarity((three, eight), (torch.tensor([0, 1]), torch.tensor([2, 3])))).value, 4)
        0.3536
    """
    weights = [pad(poisson_weights(key, replicates=replicates, seed=seed), (1, 0), value=1).double() for key in keys]

    def product(first: int, second: int) -> Tensor:
        shared, pairs = _shared(neurons[first], neurons[second]), weights[first].sum(0) * weights[second].sum(0)
        if first == second:
            shared.fill_diagonal_(0)
            pairs = pairs - weights[first].square().sum(0)
        return (weights[first] * (shared @ weights[second])).sum(0) / pairs

    cosine = product(0, 1) / (product(0, 0) * product(1, 1)).sqrt()
    # 0 / 0 for categories whose images have nothing in common.
    return Replicates(cosine.clamp(max=1), torch.tensor(sum(map(len, keys))), interval="fraction")


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

    Examples:
        >>> import torch
        >>> from nplight.metrics import similar_pairs
        >>> similarity = torch.tensor([[1.0, 0.75, 0.25], [0.75, 1.0, 0.5], [0.25, 0.5, 1.0]])
        >>> most, least = similar_pairs(similarity, count=1)
        >>> most, least
        ([(0, 1, 0.75)], [(0, 2, 0.25)])
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
