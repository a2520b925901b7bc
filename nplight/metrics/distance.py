"""Distance of the paths of images, within a category and between categories."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from nplight.errors import ArgumentError
from nplight.metrics.bootstrap import poisson_weights
from nplight.metrics.frequency import NeuronCounts, overlaps
from nplight.metrics.replicates import Estimate, Replicates, difference, estimate


def path_distance(frequency: NeuronCounts) -> Tensor:
    """Mean distance between the paths of two images, over all pairs of one category or of two.

    The distance of two images is 1 - mean over layers of |A ∩ B| / K. Its mean over pairs follows from the counts: a
    neuron on n_c and n_d paths is shared by n_c n_d pairs of images, and by n_c (n_c - 1) pairs within one category.

    Args:
        frequency: counts of paths with the same number K of distinct neurons in each layer.

    Returns:
        (categories, categories) float64 in [0, 1]: the diagonal is over pairs of different images of one category, the
        rest over pairs of images of two categories. NaN without pairs: the diagonal of a category with one image, and
        categories without images.

    Raises:
        ArgumentError: the paths differ in their number of neurons.

    Examples:
        >>> import torch
        >>> from nplight.metrics import neuron_frequency, path_distance
        >>> neurons = torch.tensor([[[0], [2]], [[0], [3]], [[1], [3]], [[1], [3]]])  # (images, layers, K)
        >>> counts = neuron_frequency(neurons, torch.tensor([0, 0, 1, 1]), num_classes=2, width=4)
        >>> path_distance(counts)
        tensor([[0.5000, 0.7500],
                [0.7500, 0.0000]], dtype=torch.float64)
    """
    images = frequency.images.reshape(-1).double()
    held = torch.sparse.sum(frequency.counts, 2).to_dense().double()
    top_k = (held.sum() / images.sum() / held.shape[1]).round()
    if not torch.equal(held[images > 0], (images[:, None] * top_k).expand_as(held)[images > 0]):
        raise ArgumentError("`frequency` must be of paths with the same number of distinct neurons in every layer")
    shared = overlaps(frequency.counts) - held.sum(1).diag()
    pairs = images.outer(images) - images.diag()
    return 1 - shared / (pairs * top_k * held.shape[1])


@dataclass(frozen=True, slots=True)
class DistanceSummary:
    """Mean distances; categories (within) and pairs of categories (between) have equal weights.

    The intervals are over categories, resampled by bootstrap; `images` is the number of images compared.

    Attributes:
        within: of two images of the same category.
        between: of two images of different categories.
        difference: between - within; positive if paths are specific to categories.

    Examples:
        >>> import torch
        >>> from nplight.metrics import distance_summary
        >>> distance = torch.tensor([[0.25, 0.75], [0.75, 0.25]], dtype=torch.float64)
        >>> summary = distance_summary(distance, images=torch.tensor([5, 5]))
        >>> summary.difference.value == summary.between.value - summary.within.value
        True
    """

    within: Estimate
    between: Estimate
    difference: Estimate


def distance_summary(distance: Tensor, images: Tensor, *, replicates: int = 1000, seed: int = 0) -> DistanceSummary:
    """Mean distance within and between categories.

    Args:
        distance: (categories, categories), from `path_distance`.
        images: (categories,) int64, number of images per category.
        replicates: of the bootstrap over categories; 0 for no intervals.
        seed: of the bootstrap.

    Raises:
        ArgumentError: `replicates` is negative.

    Examples:
        >>> import torch
        >>> from nplight.metrics import distance_summary, neuron_frequency, path_distance
        >>> neurons = torch.tensor([[[0], [2]], [[0], [3]], [[1], [3]], [[1], [3]]])  # (images, layers, K)
        >>> counts = neuron_frequency(neurons, torch.tensor([0, 0, 1, 1]), num_classes=2, width=4)
        >>> summary = distance_summary(path_distance(counts), counts.images)
        >>> summary.within.value, summary.between.value
        (0.25, 0.75)
    """
    categories = torch.arange(len(distance), device=distance.device)
    drawn = poisson_weights(categories, replicates=replicates, seed=seed)
    weights = pad(drawn, (1, 0), value=1).double()
    diagonal = torch.eye(len(distance), dtype=torch.bool, device=distance.device)
    within = _weighted(distance, images, diagonal, torch.ones_like(weights), weights)
    between = _weighted(distance, images, ~diagonal, weights, weights)
    return DistanceSummary(estimate(within), estimate(between), difference(between, within))


def _weighted(distance: Tensor, images: Tensor, pairs: Tensor, first: Tensor, second: Tensor) -> Replicates:
    """Mean over the defined `pairs` (c, d), weighted by first[c] second[d], both (categories, replicates)."""
    defined = pairs & ~distance.isnan()
    total = (first * (distance.masked_fill(~defined, 0) @ second)).sum(0)
    mean = total / (first * (defined.double() @ second)).sum(0)
    return Replicates(mean, images[defined.any(1)].sum(), interval="fraction")
