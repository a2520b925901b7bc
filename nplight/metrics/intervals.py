"""Confidence intervals of means over images, by the kind of value that an image has.

| interval | an image's value | interval of the mean | interval of a paired difference |
|---|---|---|---|
| `share` | 0 or 1 | Wilson (1927) | Newcombe (1998) |
| `change` | -1, 0 or 1 | Newcombe (1998) | Newcombe (1998) |
| `fraction` | in [0, 1] | Hall (1992); a bound without variation | Hall or Student; a bound without variation |
| `mean` | any number | Hall (1992); none without variation | Hall or Student; none without variation |
| `fixed` | known by definition | none | none |

Wilson's and Newcombe's intervals need no variation among the images: 143 of 143 right allow 97.4% to 100%, and no
change in 143 images allows 2.6 points either way. A normal or percentile interval is a point there. `python -m
benchmarks.coverage` simulates how often each interval covers the truth.

Where a value is averaged over random draws, or measured against another method, these intervals take the variance of
the mean and what follows from it: the number of images that would give this variance (Kish 1965, "Survey Sampling"; for
extreme shares Korn & Graubard 1998, Surv. Methodol. 24, 193). `few_trials_interval` is for means of shares of a few
neurons, and takes no replicates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm, t

Interval = Literal["share", "change", "fraction", "mean", "fixed"]
Limits = tuple[float, float]

NO_LIMITS: Limits = (math.nan, math.nan)
# A standard deviation below this is rounding: relative to the values, and in itself.
_ROUNDING, _TINY = 1e-9, 1e-14


@dataclass(frozen=True, slots=True)
class SampledMean:
    """A mean over images, and what is known of how it varies from sample to sample.

    Attributes:
        value: the mean.
        variance: of the mean, with the images' mean square deviation divided by n, not n - 1.
        skewness: of the mean: the third central moment over the 3/2 power of the variance.
        images: number of images.
    """

    value: float
    variance: float
    skewness: float
    images: int

    @classmethod
    def of(cls, value: float, drawn: NDArray[np.float64], variance: float, images: int) -> SampledMean:
        """From a value and its bootstrap replicates.

        Args:
            value: the mean.
            drawn: (replicates,), without NaN.
            variance: of the mean, if known without bootstrap; NaN: that of the replicates.
            images: number of images.
        """
        spread = float(drawn.std())
        if math.isnan(variance):
            variance = spread**2
        rounding = max(_TINY, _ROUNDING * float(np.abs(drawn).max()))
        skewness = float(((drawn - drawn.mean()) ** 3).mean()) / spread**3 if spread > rounding else 0.0
        # Less what the replicates have by chance, a skewness of variance 6 / replicates (positive-part James-Stein).
        skewness *= max(0.0, 1 - 6 / (len(drawn) * skewness**2)) if skewness else 0.0
        return cls(value, variance if variance > rounding**2 else 0.0, skewness, images)


def wilson_limits(count: float, images: float, level: float = 0.95) -> Limits:
    """The shares that the score test does not reject (Wilson 1927, J. Am. Stat. Assoc. 22, 209).

    Args:
        count: images of the kind; need not be an integer.
        images: all images.
        level: of confidence.
    """
    share, z2 = count / images, float(norm.ppf(0.5 + level / 2)) ** 2
    middle = share + z2 / (2 * images)
    half = math.sqrt(z2 * (share * (1 - share) / images + z2 / (4 * images**2)))
    low, high = (limit / (1 + z2 / images) for limit in (middle - half, middle + half))
    # Rounding must not exclude the share itself.
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def paired_limits(gains: float, losses: float, images: float, level: float = 0.95) -> Limits:
    """Limits of the share of gains less that of losses, of the same images.

    The Wilson limits of both shares are combined with their correlation, that of a multinomial distribution (Newcombe
    1998, Stat. Med. 17, 2635; Zou & Donner 2008, Stat. Med. 27, 1693). Neither gains nor losses need occur.

    Args:
        gains: images with a change of +1; need not be an integer.
        losses: images with a change of -1.
        images: all images.
        level: of confidence.
    """
    gain, loss = gains / images, losses / images
    gain_limits, loss_limits = (wilson_limits(count, images, level) for count in (gains, losses))
    product = gain * loss
    correlation = -math.sqrt(product / ((1 - gain) * (1 - loss))) if product > 0 else 0.0
    return difference_limits((gain, *gain_limits), (loss, *loss_limits), correlation)


def difference_limits(
    first: tuple[float, float, float], second: tuple[float, float, float], correlation: float = 0.0
) -> Limits:
    """Limits of a difference of two shares from those of each (Newcombe 1998, Stat. Med. 17, 873, method 10).

    Args:
        first: the minuend with its limits: value, low, high.
        second: the subtrahend with its limits.
        correlation: of the two; 0 if they are of different images.
    """

    def half(one: float, other: float) -> float:
        return math.sqrt(one**2 + other**2 - 2 * correlation * one * other)

    (value, low, high), (other, other_low, other_high) = first, second
    lowest = value - other - half(value - low, other_high - other)
    return max(-1.0, lowest), min(1.0, value - other + half(high - value, other - other_low))


def share_interval(mean: SampledMean, level: float = 0.95) -> Limits:
    """Wilson limits of a share.

    The number of images is that at which a share of 0-or-1 values has the given variance, which is the number of images
    itself if it is not averaged over draws; without variation the number of images.
    """
    value = min(max(mean.value, 0.0), 1.0)
    images = _effective_trials(value, mean.variance) or mean.images
    return wilson_limits(value * images, images, level)


def few_trials_interval(mean: SampledMean, trials: int, level: float = 0.95) -> Limits:
    """Limits of a mean of shares of a few trials each, e.g. of the neurons of each image's path.

    The limits of Clopper & Pearson (1934, Biometrika 26, 404) at the effective number of trials with Student's
    correction (Korn & Graubard 1998). Where all shares are 0, or all are 1, an image is one trial. A single image
    allows any share.

    Args:
        mean: of the images' shares.
        trials: behind the share of an image; it bounds the effective number.
        level: of confidence.
    """
    if mean.images < 2:
        return 0.0, 1.0
    value, upper = min(max(mean.value, 0.0), 1.0), 0.5 + level / 2
    count = float(mean.images)
    if 0 < value < 1:
        most = mean.images * trials
        unbiased = mean.variance * mean.images / (mean.images - 1)
        count = min(_effective_trials(value, unbiased) or most, most)
        count *= float((norm.ppf(upper) / t.ppf(upper, mean.images - 1)) ** 2)
    hits = value * count
    low = float(beta.ppf(1 - upper, hits, count - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(upper, hits + 1, count - hits)) if hits < count else 1.0
    return min(low, value), max(high, value)


def _effective_trials(share: float, variance: float) -> float | None:
    """The number of 0-or-1 values whose share has this variance; `None` without variation."""
    spread = share * (1 - share)
    return spread / variance if variance > 0 and spread > 0 else None


def change_interval(mean: SampledMean, level: float = 0.95) -> Limits:
    """Limits of a change of paired 0-or-1 values, from `paired_limits`.

    The counts of gains and losses follow from the mean and its variance: gains - losses = n · value,
    gains + losses = n · (n · variance + value²). For unaveraged 0-or-1 values these are the counts themselves. For
    others they are those of -1, 0 and 1 with the same mean and variance.
    """
    value = min(max(mean.value, -1.0), 1.0)
    size, images = abs(value), float(mean.images)
    spread = 0.0
    if mean.variance > 0:
        # The variance of values -1, 0 and 1 with this mean has these bounds; the number of images makes up for it.
        spread = min(max(images * mean.variance, size - size**2), 1 - size**2)
        images = spread / mean.variance if spread > 0 else images
    either = min(max(spread + size**2, size), 1.0)
    return paired_limits(images * (either + value) / 2, images * (either - value) / 2, images, level)


def mean_interval(mean: SampledMean, level: float = 0.95) -> Limits:
    """Interval of a mean, corrected for skewness by a cubic transformation (Hall 1992, J. R. Stat. Soc. B 54, 221).

    Its limits come from three moments, not from the extreme replicates, so that it may be had at any level. Its
    quantile is Student's, for n - 1 degrees of freedom. NaN without variation.
    """
    if not mean.variance > 0 or mean.images < 2:
        return NO_LIMITS
    quantile = float(t.ppf(0.5 + level / 2, mean.images - 1))
    deviation = math.sqrt(mean.variance * mean.images / (mean.images - 1))
    return (
        mean.value - deviation * _untransformed(quantile, mean.skewness),
        mean.value - deviation * _untransformed(-quantile, mean.skewness),
    )


def _untransformed(quantile: float, skewness: float) -> float:
    """The studentised T with T + s T²/3 + s² T³/27 + s/6 = quantile, s being the skewness of the mean."""
    if abs(skewness) < 1e-6:
        return quantile
    return 3 / skewness * (float(np.cbrt(1 + skewness * (quantile - skewness / 6))) - 1)


def mean_difference_interval(mean: SampledMean, level: float = 0.95) -> Limits:
    """Interval of a paired difference: the wider on each side of `mean_interval` and Student's.

    A difference of two methods has long tails on either side or on both. Hall's correction alone is too narrow for
    both, and Student's interval for one.
    """
    corrected, symmetric = (mean_interval(one, level) for one in (mean, replace(mean, skewness=0.0)))
    return min(corrected[0], symmetric[0]), max(corrected[1], symmetric[1])


def _fraction_interval(mean: SampledMean, level: float = 0.95) -> Limits:
    if not mean.variance > 0:
        return share_interval(mean, level)
    low, high = mean_interval(mean, level)
    return max(0.0, low), min(1.0, high)


def _fraction_change_interval(mean: SampledMean, level: float = 0.95) -> Limits:
    if not mean.variance > 0:
        return change_interval(mean, level)
    low, high = mean_difference_interval(mean, level)
    return max(-1.0, low), min(1.0, high)


def _no_interval(mean: SampledMean, level: float = 0.95) -> Limits:
    return NO_LIMITS


@dataclass(frozen=True, slots=True)
class IntervalRule:
    """How intervals are made of values of one kind.

    Attributes:
        of_value: the limits of a mean.
        of_difference: the limits of a paired difference of two means.
    """

    of_value: Callable[[SampledMean, float], Limits]
    of_difference: Callable[[SampledMean, float], Limits]


INTERVALS: dict[Interval, IntervalRule] = {
    "share": IntervalRule(share_interval, change_interval),
    "change": IntervalRule(change_interval, change_interval),
    "fraction": IntervalRule(_fraction_interval, _fraction_change_interval),
    "mean": IntervalRule(mean_interval, mean_difference_interval),
    "fixed": IntervalRule(_no_interval, _no_interval),
}
"""Kind of value -> its intervals."""
