from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from nplight.metrics import Estimate, counted_share, mean_share, share_difference, share_estimate


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.993])
@pytest.mark.parametrize("images", [20, 143])
def test_intervals_of_shares_of_a_few_neurons_cover(share: float, images: int) -> None:
    """Each image's share is a mean of six neurons, which vary from image to image together."""
    draw = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        rate = draw.beta(4 * share, 4 * (1 - share), (images, 1))
        values = (draw.random((images, 6)) < rate).mean(1)
        estimate = mean_share(torch.from_numpy(values), 6)
        covered += estimate.low <= share <= estimate.high
    assert covered >= 0.93 * 400


def test_a_share_of_images_has_the_interval_of_clopper_and_pearson_but_for_small_numbers() -> None:
    values = torch.zeros(500)
    values[:37] = 1
    estimate = mean_share(values, 1)
    exact = binomtest(37, 500).proportion_ci()
    assert estimate.value == pytest.approx(37 / 500)
    assert (estimate.low, estimate.high) == pytest.approx((exact.low, exact.high), abs=2e-3)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("images", [1, 2, 30])
def test_no_interval_is_a_point(value: float, images: int) -> None:
    estimate = mean_share(torch.full((images,), value), 6)
    assert estimate.low <= value <= estimate.high
    assert estimate.high - estimate.low > 0.05
    if images == 1:
        assert (estimate.low, estimate.high) == (0, 1)
    if images == 30 and value == 1:
        assert estimate.low == pytest.approx(binomtest(30, 30).proportion_ci().low)


def test_images_without_a_share_are_left_out() -> None:
    assert mean_share(torch.tensor([0.5, math.nan, 0.7]), 6) == mean_share(torch.tensor([0.5, 0.7]), 6)
    nothing = mean_share(torch.tensor([math.nan]), 6)
    assert math.isnan(nothing.value)
    assert nothing.images == counted_share(0, 0).images == 0


def test_counts_have_the_interval_of_wilson() -> None:
    estimate = counted_share(283, 288)
    p, n, z = 283 / 288, 288, 1.959963984540054
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert (estimate.low, estimate.high) == pytest.approx(
        ((middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n))
    )
    assert counted_share(288, 288).low < 1


def test_a_difference_has_the_interval_of_newcombe() -> None:
    """His example: 56 of 70 against 48 of 80, 0.2 with 0.0524 to 0.3339 from the intervals of Wilson."""
    difference = share_difference(counted_share(56, 70), counted_share(48, 80))
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    alike = share_difference(Estimate(1.0, 0.9, 1.0, 30), Estimate(1.0, 0.9, 1.0, 30))
    assert (alike.low, alike.high) == pytest.approx((-0.1, 0.1))


def test_rounding_leaves_a_share_in_its_bounds() -> None:
    estimate = share_estimate(1 + 1e-15, 0.0, 10, 6)
    assert estimate.value == estimate.high == 1
