"""Shares of neurons that paths have in common: of the same image, of pairs of images, of random paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nplight.metrics.agreement import path_agreement
from nplight.metrics.replicates import Estimate
from nplight.metrics.share_estimates import share_estimate
from nplight.paths import check_labels


def path_shares(neurons: Tensor, other: Tensor) -> Tensor:
    """The share of each image's path that is also on another path of it, mean over layers.

    Args:
        neurons: (images, layers, K) int64.
        other: (images, layers, K) int64, another path of each image.

    Returns:
        (images,) float64 in [0, 1].

    Raises:
        ArgumentError: images or layers differ, or a path has no neurons.

    Examples:
        >>> import torch
        >>> from nplight.metrics import path_shares
        >>> path_shares(torch.tensor([[[0], [2]]]), torch.tensor([[[0], [3]]]))
        tensor([0.5000], dtype=torch.float64)
    """
    return path_agreement(neurons, other).mean(1)


def random_share(top_k: int, widths: Sequence[int]) -> float:
    """The share that two random paths are expected to have in common: K / width, mean over layers.

    Args:
        top_k: neurons per layer, K.
        widths: neurons in each layer.

    Examples:
        >>> from nplight.metrics import random_share
        >>> random_share(1, (4, 4))
        0.25
    """
    return sum(top_k / width for width in widths) / len(widths)


@dataclass(frozen=True, slots=True)
class PairShares:
    """Mean share that the paths of two different images have in common; NaN without pairs.

    Attributes:
        within: of images of the same category.
        between: of images of different categories.

    Examples:
        >>> import torch
        >>> from nplight.metrics import pair_shares
        >>> neurons = torch.tensor([[[0], [2]], [[0], [2]], [[1], [3]], [[1], [3]]])  # (images, layers, K)
        >>> shares = pair_shares(neurons, torch.tensor([0, 0, 1, 1]))
        >>> shares.within.value, shares.between.value
        (1.0, 0.0)
    """

    within: Estimate
    between: Estimate


def pair_shares(neurons: Tensor, labels: Tensor) -> PairShares:
    """Mean shares over all pairs of different images, with intervals over images by the jackknife.

    An image is part of many pairs. The variance is that of leaving out an image with all its pairs (Arvesen 1969), as
    pairs are not independent.

    Args:
        neurons: (images, layers, K) int64, K distinct neurons per layer. Holds images² numbers.
        labels: (images,) int64, the category of each image.

    Raises:
        ArgumentError: labels are not one for each image.

    Examples:
        >>> import torch
        >>> from nplight.metrics import pair_shares
        >>> neurons = torch.tensor([[[0], [2]], [[0], [2]], [[1], [3]], [[1], [2]]])
        >>> shares = pair_shares(neurons, torch.tensor([0, 0, 1, 1]))
        >>> shares.within.value, shares.between.value
        (0.75, 0.25)
    """
    check_labels(labels, len(neurons), 1 << 62)
    shares = shares_in_common(neurons, neurons)
    same = labels[:, None] == labels
    alone = torch.eye(len(labels), dtype=torch.bool)
    trials = neurons.shape[1] * neurons.shape[2]
    return PairShares(_mean_of_pairs(shares, same & ~alone, trials), _mean_of_pairs(shares, ~same, trials))


def shares_in_common(neurons: Tensor, others: Tensor) -> Tensor:
    """The share that each path has in common with each of other paths, mean over layers.

    Args:
        neurons: (images, layers, K) int64, K distinct neurons per layer.
        others: (paths, layers, M) int64.

    Returns:
        (images, paths) float64: |A ∩ B| / min(K, M).

    Examples:
        >>> import torch
        >>> from nplight.metrics import shares_in_common
        >>> paths = torch.tensor([[[0], [2]], [[0], [3]]])
        >>> shares_in_common(paths, paths)
        tensor([[1.0000, 0.5000],
                [0.5000, 1.0000]], dtype=torch.float64)
    """
    total = torch.zeros(len(neurons), len(others), dtype=torch.float64)
    if not (len(neurons) and len(others)):
        return total
    for first, second in zip(neurons.unbind(1), others.unbind(1)):
        width = 1 + max(int(first.max()), int(second.max()))
        total += _indicators(first, width) @ _indicators(second, width).T
    return total / (neurons.shape[1] * min(neurons.shape[2], others.shape[2]))


def _indicators(neurons: Tensor, width: int) -> Tensor:
    # float32 holds these counts exactly.
    return torch.zeros(len(neurons), width).scatter_(1, neurons, 1.0)


def _mean_of_pairs(shares: Tensor, pairs: Tensor, trials: int) -> Estimate:
    """Mean over the ordered `pairs` (images, images), which are symmetric."""
    of_image, count = (shares * pairs).sum(1), pairs.sum(1)
    total, pairs_of_all = of_image.sum(), count.sum()
    value = (total / pairs_of_all).item()
    left = pairs_of_all - 2 * count
    without = ((total - 2 * of_image) / left)[(left > 0) & (count > 0)]
    images = int((count > 0).sum())
    if not len(without):
        return share_estimate(value, torch.inf, min(images, 1), trials) if images else _undefined()
    variance = (len(without) - 1) / len(without) * (without - without.mean()).square().sum().item()
    return share_estimate(value, variance, images, trials)


def _undefined() -> Estimate:
    return Estimate(torch.nan, torch.nan, torch.nan, 0)
