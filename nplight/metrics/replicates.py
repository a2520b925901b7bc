"""Measured values with intervals, from the replicates of a bootstrap."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nplight.errors import ArgumentError
from nplight.metrics.intervals import INTERVALS, NO_LIMITS, Interval, Limits, SampledMean


class Replicates(NamedTuple):
    """Measured values, each followed by its value under each weighting of the images.

    Attributes:
        values: (…, 1 + replicates) float64: the value itself, then its replicates.
        images: (…) int64, number of images of each value.
        variance: (…) float64, of each value from sample to sample, where it is known without bootstrap; `None` or NaN:
            that of the replicates.
        interval: what an image's value is, which determines the interval; a row of `INTERVALS`.

    Examples:
        >>> import torch
        >>> from nplight.metrics import BootstrapMean, estimate
        >>> metric = BootstrapMean(replicates=200)
        >>> metric.update(torch.tensor([0.25, 0.5, 0.75]), torch.tensor([0, 1, 2]))
        >>> replicates = metric.compute()
        >>> replicates.values.shape, float(replicates.values[0]), int(replicates.images)
        (torch.Size([201]), 0.5, 3)
    """

    values: Tensor
    images: Tensor
    variance: Tensor | None = None
    interval: Interval = "mean"

    def of(self, index: Any) -> Replicates:
        """The values at an index, or a tuple of indices, into the leading dimensions."""
        variance = None if self.variance is None else self.variance[index]
        return Replicates(self.values[index], self.images[index], variance, self.interval)


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A value with its interval, of 95% unless another level was asked for.

    Estimates are equal if their numbers are; undefined numbers are equal to one another.

    Attributes:
        value: the value itself; NaN if undefined.
        low: the lower limit; NaN if the interval is undefined: without replicates, of a value known by definition, or
            of unbounded values without variation.
        high: the upper limit.
        images: number of images.

    Examples:
        >>> from nplight.metrics import Estimate
        >>> Estimate(0.5, 0.4, 0.6, images=100).low
        0.4
    """

    value: float
    low: float
    high: float
    images: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Estimate) and self._defined() == other._defined()

    def __hash__(self) -> int:
        return hash(self._defined())

    def rounded(self) -> Estimate:
        """Rounded to seven significant digits, those of a float32."""
        value, low, high = (float(f"{number:.7g}") for number in (self.value, self.low, self.high))
        return Estimate(value, low, high, self.images)

    def to_dict(self) -> dict[str, float | int | None]:
        """Plain rounded values for a file; `None` if undefined."""
        return dict(zip(("value", "low", "high", "images"), self.rounded()._defined()))

    def _defined(self) -> tuple[Any, ...]:
        numbers = (self.value, self.low, self.high, self.images)
        return tuple(None if number != number else number for number in numbers)


def estimate(replicates: Replicates, *, level: float = 0.95) -> Estimate:
    """The value and its interval, by the rule of `INTERVALS` that `replicates.interval` names.

    Replicates in which no image has weight are NaN and are left out.

    Args:
        replicates: of a single value: values (1 + replicates,), images ().
        level: of confidence.

    Examples:
        >>> import torch
        >>> from nplight.metrics import BootstrapMean, estimate
        >>> metric = BootstrapMean()
        >>> metric.update(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0, 1, 2]))
        >>> value = estimate(metric.compute())
        >>> value.value, value.low < 2 < value.high
        (2.0, True)
    """
    return _estimate(replicates, INTERVALS[replicates.interval].of_value, level)


def difference(first: Replicates, second: Replicates, *, level: float = 0.95) -> Estimate:
    """First minus second, paired: both are measured on the same images with the same seed, and share their weights.

    Variation that both share cancels, so that the interval is narrower than those of the two values. It is never a
    point: where nothing varies, values in [0, 1] have a bound, and others no interval.

    Args:
        first: the minuend.
        second: the subtrahend.
        level: of confidence.

    Returns:
        The difference; its `images` is the smaller number of images.

    Raises:
        ArgumentError: the numbers of replicates, or the kinds of the values, differ.

    Examples:
        >>> import torch
        >>> from nplight.metrics import BootstrapMean, difference
        >>> keys, first, second = torch.tensor([0, 1, 2]), BootstrapMean(), BootstrapMean()
        >>> first.update(torch.tensor([1.0, 2.0, 3.0]), keys)
        >>> second.update(torch.tensor([0.5, 1.5, 2.5]), keys)
        >>> difference(first.compute(), second.compute()).value  # paired: the images are the same
        0.5
    """
    if first.values.shape != second.values.shape:
        raise ArgumentError(
            f"`second` must have as many replicates as `first`, {first.values.numel() - 1}, "
            f"got {second.values.numel() - 1}; measure both with the same `replicates`"
        )
    if first.interval != second.interval:
        raise ArgumentError(
            f"`second` must be of the same kind of values as `first`, {first.interval!r}, got {second.interval!r}; "
            "compare the same measure of both"
        )
    images = torch.minimum(first.images, second.images)
    # The variance of the difference is in the shared weights alone.
    paired = Replicates(first.values - second.values, images, None, first.interval)
    return _estimate(paired, INTERVALS[first.interval].of_difference, level)


def _estimate(replicates: Replicates, rule: Callable[[SampledMean, float], Limits], level: float) -> Estimate:
    values = replicates.values.double().cpu().flatten()
    value, images = values[0].item(), int(replicates.images)
    drawn = values[1:][~values[1:].isnan()].numpy()
    limits = NO_LIMITS
    if len(drawn) and value == value:
        variance = math.nan if replicates.variance is None else float(replicates.variance)
        limits = rule(SampledMean.of(value, drawn, variance, images), level)
    return Estimate(value, *limits, images)
