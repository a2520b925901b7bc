"""Estimates from sums of powers are those of the images themselves."""

from __future__ import annotations

import math

import pytest
import torch

from nplight.metrics import BootstrapMean, estimate
from nplight.results.change_sums import ChangeSums


def changes(images: int = 400) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    skewed = torch.rand(images, 2, generator=generator, dtype=torch.float64).square() - 0.3
    return skewed, {3: 0.05 * torch.randn(images, 5, generator=generator, dtype=torch.float64)}


def test_the_interval_is_that_of_the_bootstrap() -> None:
    removed, random = changes()
    sums = ChangeSums([3, 1], 5)
    for rows in torch.arange(len(removed)).split(150):
        sums.add(removed[rows], {3: random[3][rows]})
    (first, control, difference), (_, missing, _) = sums.estimates()
    bootstrap = BootstrapMean(replicates=4000)
    bootstrap.update(removed[:, 0], torch.arange(len(removed)))
    expected = estimate(bootstrap.compute())
    assert first.value == pytest.approx(expected.value)
    width = expected.high - expected.low
    assert [first.low, first.high] == pytest.approx([expected.low, expected.high], abs=0.05 * width)
    assert difference.value == pytest.approx(first.value - control.value)
    assert math.isnan(missing.value)


def test_the_spread_of_the_draws_widens_the_interval() -> None:
    removed, random = changes()
    widths = []
    for apart in (0.0, 0.2):
        sums = ChangeSums([3, 3], 5)
        sums.add(removed, {3: random[3] + apart * torch.arange(-2, 3)})
        difference = next(sums.estimates())[2]
        widths.append(difference.high - difference.low)
    assert widths[1] > 3 * widths[0]


def test_without_variation_there_is_no_interval() -> None:
    sums = ChangeSums([0], 5)
    sums.add(torch.full((7, 1), 0.1, dtype=torch.float64), {0: torch.zeros(7, 5, dtype=torch.float64)})
    ((removed, _, _),) = sums.estimates()
    assert removed.value == pytest.approx(0.1)
    assert math.isnan(removed.low)
    assert next(ChangeSums([0], 5).estimates())[0].images == 0
