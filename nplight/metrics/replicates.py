"""A measured value with its interval, from the replicates of a bootstrap."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nplight.errors import ArgumentError

_TAILS = (0.025, 0.975)


class Replicates(NamedTuple):
    """Values, each measured once and then under every weighting of the images.

    Attributes:
        values: (…, 1 + replicates) float64: the value itself, then its replicates.
        images: (…) int64, how many images each value is of.
    """

    values: Tensor
    images: Tensor

    def of(self, place: Any) -> Replicates:
        """The values at an index, or a tuple of indices, into the leading dimensions."""
        return Replicates(self.values[place], self.images[place])


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95% interval.

    Attributes:
        value: the value itself; NaN where there is nothing to measure.
        low: the 2.5% quantile of its replicates; NaN where there are none.
        high: the 97.5% quantile.
        images: how many images it is of. The fewer, the less the interval can be trusted; that of one image is a point.
    """

    value: float
    low: float
    high: float
    images: int

    def rounded(self) -> Estimate:
        """With as many digits as a float32 holds, so that files read as measured."""
        value, low, high = (float(f"{number:.7g}") for number in (self.value, self.low, self.high))
        return Estimate(value, low, high, self.images)

    def to_dict(self) -> dict[str, float | int | None]:
        """As plain values, rounded, for a file; `None` for what is not defined."""
        return {name: None if value != value else value for name, value in asdict(self.rounded()).items()}


def estimate(replicates: Replicates) -> Estimate:
    """The value and the percentile interval of its replicates (Efron 1981).

    Replicates in which no image has weight are NaN and left out.

    Args:
        replicates: of one value: values (1 + replicates,), images ().
    """
    values = replicates.values.double().cpu().flatten()
    drawn = values[1:][~values[1:].isnan()]
    tails = torch.tensor(_TAILS, dtype=torch.float64)
    low, high = drawn.quantile(tails).tolist() if len(drawn) else (torch.nan, torch.nan)
    return Estimate(values[0].item(), low, high, int(replicates.images))


def difference(first: Replicates, second: Replicates) -> Estimate:
    """First minus second, paired: both measured on the same images with the same seed, so that their weights agree.

    What makes an image easy or hard for both cancels, and the interval is narrower than the two apart.

    Args:
        first: of one measure.
        second: of another.

    Returns:
        The difference; its `images` are those of the smaller.

    Raises:
        ArgumentError: they have different numbers of replicates.
    """
    if first.values.shape != second.values.shape:
        raise ArgumentError(
            f"`second` must have as many replicates as `first`, {first.values.numel() - 1}, "
            f"got {second.values.numel() - 1}; measure both with the same `replicates`"
        )
    return estimate(Replicates(first.values - second.values, torch.minimum(first.images, second.images)))
