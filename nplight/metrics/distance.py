"""How far apart the paths of images lie within a category and between categories."""

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
    """Mean distance of the paths of two images, over all pairs of one category or of two.

    The distance of two images is 1 - mean over layers of |A ∩ B| / K. Its mean over pairs follows from the counts
    alone: n_c n_d pairs of images share a neuron that is on n_c and n_d paths, n_c (n_c - 1) within one category.

    Args:
        frequency: counts of paths with the same number K of distinct neurons in every layer.

    Returns:
        (categories, categories) float64 in [0, 1]: on the diagonal pairs of different images of one category, off it
        pairs of images of two. NaN where there is no pair: the diagonal of a category with one image, and categories
        without images.

    Raises:
        ArgumentError: the paths have different numbers of neurons.
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
    """Mean distances, every category (within) and every pair of categories (between) weighted alike.

    The intervals are over categories, as if others of their kind had been drawn; `images` are those compared.

    Attributes:
        within: of two images of one category.
        between: of two images of different categories.
        difference: between - within; positive where images of one category have paths of their own.
    """

    within: Estimate
    between: Estimate
    difference: Estimate


def distance_summary(distance: Tensor, images: Tensor, *, replicates: int = 1000, seed: int = 0) -> DistanceSummary:
    """Mean distance within and between categories.

    Args:
        distance: (categories, categories), of `path_distance`.
        images: (categories,) int64, images of each category.
        replicates: of the bootstrap over categories; 0 for no intervals.
        seed: of the bootstrap.

    Raises:
        ArgumentError: negative `replicates`.
    """
    categories = torch.arange(len(distance), device=distance.device)
    drawn = poisson_weights(categories, replicates=replicates, seed=seed)
    weights = pad(drawn, (1, 0), value=1).double()
    own = torch.eye(len(distance), dtype=torch.bool, device=distance.device)
    within = _weighted(distance, images, own, torch.ones_like(weights), weights)
    between = _weighted(distance, images, ~own, weights, weights)
    return DistanceSummary(estimate(within), estimate(between), difference(between, within))


def _weighted(distance: Tensor, images: Tensor, pairs: Tensor, first: Tensor, second: Tensor) -> Replicates:
    """Mean over the defined ones of `pairs` (c, d), weighted by first[c] second[d], both (categories, replicates)."""
    defined = pairs & ~distance.isnan()
    total = (first * (distance.masked_fill(~defined, 0) @ second)).sum(0)
    mean = total / (first * (defined.double() @ second)).sum(0)
    return Replicates(mean, images[defined.any(1)].sum())
