"""Intervals of mean shares, which are never a point.

A bootstrap of values that do not vary, or hardly vary, gives a point. The interval here is that of Clopper and Pearson
(1934) with the effective number of trials of Korn and Graubard (Survey Methodology 24, 1998): the number of independent
trials whose share would have the variance that was seen.
"""

from __future__ import annotations

import math

from scipy.stats import beta, binomtest, norm, t
from torch import Tensor

from nplight.metrics.replicates import Estimate

_CONFIDENCE = 0.95
_UPPER = (1 + _CONFIDENCE) / 2


def mean_share(shares: Tensor, most_trials: int) -> Estimate:
    """The mean of one share per image, with its 95% interval over images.

    Args:
        shares: (images,) in [0, 1]; NaN is left out.
        most_trials: trials behind the share of an image, e.g. neurons of its path; it bounds the effective number.

    Returns:
        The estimate; all NaN without images.
    """
    values = shares[~shares.isnan()].double()
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan, 0)
    variance = values.var().item() / len(values) if len(values) > 1 else math.inf
    return share_estimate(values.mean().item(), variance, len(values), most_trials)


def share_estimate(share: float, variance: float, images: int, most_trials: int) -> Estimate:
    """A mean share with its 95% interval, from the variance of the mean.

    Args:
        share: in [0, 1].
        variance: of the mean share.
        images: over which it is a mean.
        most_trials: trials behind the share of an image.
    """
    share = min(max(share, 0.0), 1.0)
    if images < 2:
        return Estimate(share, 0.0, 1.0, images)
    spread = share * (1 - share)
    trials = float(images)  # where all shares are 0, or all are 1, an image is one trial
    if spread > 0:
        trials = min(spread / variance, images * most_trials) if variance > 0 else float(images * most_trials)
        trials *= float((norm.ppf(_UPPER) / t.ppf(_UPPER, images - 1)) ** 2)
    hits = share * trials
    low = float(beta.ppf(1 - _UPPER, hits, trials - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(_UPPER, hits + 1, trials - hits)) if hits < trials else 1.0
    return Estimate(share, min(low, share), max(high, share), images)


def counted_share(count: int, images: int) -> Estimate:
    """A share of images with its 95% interval by Wilson (1927); all NaN without images.

    Args:
        count: images that count.
        images: all of them.
    """
    if images == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    interval = binomtest(count, images).proportion_ci(_CONFIDENCE, method="wilson")
    return Estimate(count / images, float(interval.low), float(interval.high), images)


def share_difference(first: Estimate, second: Estimate) -> Estimate:
    """First minus second with an interval from theirs (Newcombe, Statistics in Medicine 17, 1998, method 10).

    It takes the two as independent. For shares of the same images, which mostly rise and fall together, it is wider
    than a paired interval.
    """
    value = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(value, value - below, value + above, min(first.images, second.images))
