"""Measured values with intervals, from the replicates of a bootstrap."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nplight.errors import ArgumentError

_TAILS = (0.025, 0.975)


class Replicates(NamedTuple):
    """Measured values, each followed by its value under each weighting of the images.

    Attributes:
        values: (…, 1 + replicates) float64: the value itself, then its replicates.
        images: (…) int64, number of images of each value.
    """

    values: Tensor
    images: Tensor

    def of(self, index: Any) -> Replicates:
        """The values at an index, or a tuple of indices, into the leading dimensions."""
        return Replicates(self.values[index], self.images[index])


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95% interval.

    Attributes:
        value: the value itself; NaN if undefined.
        low: the 2.5% quantile of its replicates; NaN without replicates.
        high: the 97.5% quantile.
        images: number of images. Intervals of few images are unreliable; the interval of one image is a point.
    """

    value: float
    low: float
    high: float
    images: int

    def rounded(self) -> Estimate:
        """Rounded to seven significant digits, those of a float32."""
        value, low, high = (float(f"{number:.7g}") for number in (self.value, self.low, self.high))
        return Estimate(value, low, high, self.images)

    def to_dict(self) -> dict[str, float | int | None]:
        """Plain rounded values for a file; `None` if undefined."""
        return {name: None if value != value else value for name, value in asdict(self.rounded()).items()}


def estimate(replicates: Replicates) -> Estimate:
    """The value and the percentile interval of its replicates (Efron 1981).

    Replicates in which no image has weight are NaN and are left out.

    Args:
        replicates: of a single value: values (1 + replicates,), images ().
    """
    values = replicates.values.double().cpu().flatten()
    drawn = values[1:][~values[1:].isnan()]
    tails = torch.tensor(_TAILS, dtype=torch.float64)
    low, high = drawn.quantile(tails).tolist() if len(drawn) else (torch.nan, torch.nan)
    return Estimate(values[0].item(), low, high, int(replicates.images))


def difference(first: Replicates, second: Replicates) -> Estimate:
    """First minus second, paired: both are measured on the same images with the same seed, and share their weights.

    Variation that both share cancels, so that the interval is narrower than those of the two values.

    Args:
        first: the minuend.
        second: the subtrahend.

    Returns:
        The difference; its `images` is the smaller number of images.

    Raises:
        ArgumentError: the numbers of replicates differ.
    """
    if first.values.shape != second.values.shape:
        raise ArgumentError(
            f"`second` must have as many replicates as `first`, {first.values.numel() - 1}, "
            f"got {second.values.numel() - 1}; measure both with the same `replicates`"
        )
    return estimate(Replicates(first.values - second.values, torch.minimum(first.images, second.images)))
