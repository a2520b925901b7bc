"""Sums over a category's images of the changes by removals, and the estimates from them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from nplight.metrics import Estimate
from nplight.metrics.intervals import INTERVALS, SampledMean
from nplight.metrics.random_draws import draw_spread, residual_variance

# Of the mean square: a variance below this is rounding of the sums.
_ROUNDING = 1e-10


class ChangeSums:
    """Sums of the first three powers of an image's changes, from which means and their intervals follow.

    Args:
        layers: of the removed neurons, one per neuron.
        draws: random neurons per layer.
    """

    def __init__(self, layers: Sequence[int], draws: int) -> None:
        self._layers = tuple(layers)
        self._distinct = sorted(set(layers))
        self._positions = torch.tensor([self._distinct.index(layer) for layer in layers])
        self._images = 0
        self._removed, self._difference = torch.zeros(2, 3, len(self._layers), dtype=torch.float64)
        self._random = torch.zeros(3, len(self._distinct), dtype=torch.float64)
        self._drawn = torch.zeros(draws, len(self._distinct), dtype=torch.float64)
        self._squares = torch.zeros(len(self._distinct), dtype=torch.float64)

    def add(self, removed: Tensor, random: Mapping[int, Tensor]) -> None:
        """Add images.

        Args:
            removed: (images, neurons) float64, the change by the removal of each neuron.
            random: layer -> (images, draws) float64, the change by that of each random neuron; layers without are NaN.
        """
        missing = removed.new_full((len(removed), len(self._drawn)), torch.nan)
        drawn = torch.stack([random.get(layer, missing) for layer in self._distinct], 2)
        mean = drawn.mean(1)
        self._images += len(removed)
        self._removed += _powers(removed)
        self._random += _powers(mean)
        self._difference += _powers(removed - mean[:, self._positions])
        self._drawn += drawn.sum(0)
        self._squares += drawn.square().sum((0, 1))

    def estimates(self) -> Iterator[tuple[Estimate, Estimate, Estimate]]:
        """Per neuron the mean change by its removal, that by random neurons, and their difference."""
        between = self._variance_of_draws()
        for number, position in enumerate(self._positions.tolist()):
            spread = between[position].item()
            yield (
                self._estimate(self._removed[:, number], 0.0),
                self._estimate(self._random[:, position], spread),
                self._estimate(self._difference[:, number], spread, difference=True),
            )

    def _variance_of_draws(self) -> Tensor:
        """(distinct layers,), of the mean over draws."""
        images = torch.tensor(max(self._images, 1))
        means = self._drawn / images
        residual = residual_variance(self._squares, self._random[1], means, images)
        return draw_spread(means, residual, replicates=0).variance

    def _estimate(self, sums: Tensor, between: float, *, difference: bool = False) -> Estimate:
        if not self._images:
            return Estimate(math.nan, math.nan, math.nan, 0)
        first, second, third = (sums / self._images).tolist()
        variance = second - first**2
        if variance <= _ROUNDING * second:
            variance = 0.0
        total = variance / self._images + between
        central = third - 3 * first * second + 2 * first**3
        skewness = central / self._images**2 / total**1.5 if total > 0 and variance > 0 else 0.0
        rule = INTERVALS["mean"]
        limits = rule.of_difference if difference else rule.of_value
        return Estimate(first, *limits(SampledMean(first, total, skewness, self._images), 0.95), self._images)


def _powers(values: Tensor) -> Tensor:
    """Sums over images of the first three powers: (images, columns) -> (3, columns)."""
    return torch.stack([values, values.square(), values.pow(3)]).sum(1)
