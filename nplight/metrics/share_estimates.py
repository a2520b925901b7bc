"""Shares without replicates, with the intervals of `intervals`: of images, of the neurons of each image's path."""

from __future__ import annotations

import math

from torch import Tensor

from nplight.metrics.intervals import SampledMean, difference_limits, few_trials_interval, wilson_limits
from nplight.metrics.replicates import Estimate


def mean_share(shares: Tensor, most_trials: int) -> Estimate:
    """The mean of one share per image, with its 95% interval over images.

    Args:
        shares: (images,) in [0, 1]; NaN is left out.
        most_trials: trials behind the share of an image, e.g. neurons of its path; it bounds the effective number.

    Returns:
        The estimate; all NaN without images.

    Examples:
        >>> import torch
        >>> from nplight.metrics import mean_share
        >>> mean_share(torch.tensor([0.5, 1.0, 0.0, 0.5]), 2).value
        0.5
    """
    values = shares[~shares.isnan()].double()
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan, 0)
    variance = values.var().item() / len(values) if len(values) > 1 else math.inf
    return share_estimate(values.mean().item(), variance, len(values), most_trials)


def share_estimate(share: float, variance: float, images: int, most_trials: int) -> Estimate:
    """A mean share with its 95% interval (`few_trials_interval`), from the variance of the mean.

    Args:
        share: in [0, 1].
        variance: of the mean share, unbiased.
        images: over which it is a mean.
        most_trials: trials behind the share of an image.

    Examples:
        >>> from nplight.metrics import share_estimate
        >>> share = share_estimate(0.5, variance=0.0025, images=100, most_trials=1)
        >>> round(share.low, 2), round(share.high, 2)
        (0.4, 0.6)
    """
    share = min(max(share, 0.0), 1.0)
    mean = SampledMean(share, variance * (images - 1) / images if images > 1 else math.inf, 0.0, images)
    return Estimate(share, *few_trials_interval(mean, most_trials), images)


def counted_share(count: int, images: int) -> Estimate:
    """A share of images with its 95% interval by Wilson (1927); all NaN without images.

    Args:
        count: images that count.
        images: all of them.

    Examples:
        >>> from nplight.metrics import counted_share
        >>> share = counted_share(9, 10)
        >>> round(share.value, 2), round(share.low, 2), round(share.high, 2)
        (0.9, 0.6, 0.98)
    """
    if images == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    return Estimate(count / images, *wilson_limits(count, images), images)


def share_difference(first: Estimate, second: Estimate) -> Estimate:
    """First minus second with an interval from theirs (`difference_limits`).

    It takes the two as independent. For shares of the same images, which mostly rise and fall together, it is wider
    than a paired interval.

    Examples:
        >>> from nplight.metrics import counted_share, share_difference
        >>> lead = share_difference(counted_share(90, 100), counted_share(50, 100))
        >>> round(lead.value, 2), lead.low > 0
        (0.4, True)
    """
    limits = difference_limits((first.value, first.low, first.high), (second.value, second.low, second.high))
    return Estimate(first.value - second.value, *limits, min(first.images, second.images))
