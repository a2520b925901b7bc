from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest, skew, t

from nplight.metrics.intervals import (
    INTERVALS,
    SampledMean,
    change_interval,
    difference_limits,
    few_trials_interval,
    mean_difference_interval,
    mean_interval,
    paired_limits,
    share_interval,
    wilson_limits,
)


@pytest.mark.parametrize("right", [0, 1, 71, 142, 143])
@pytest.mark.parametrize("level", [0.95, 0.995])
def test_a_share_has_the_limits_that_scipy_gives(right: int, level: float) -> None:
    expected = binomtest(right, 143).proportion_ci(level, "wilson")
    share = right / 143
    mean = SampledMean(share, share * (1 - share) / 143, 0.0, 143)
    assert share_interval(mean, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_share_of_half_the_variance_is_as_good_as_of_twice_the_images() -> None:
    mean = SampledMean(0.9, 0.9 * 0.1 / 143 / 2, 0.0, 143)
    assert share_interval(mean) == pytest.approx(wilson_limits(0.9 * 286, 286))


def test_no_change_allows_as_much_as_no_gain_and_no_loss_do() -> None:
    low, high = change_interval(SampledMean(0.0, 0.0, 0.0, 143))
    assert (low, high) == pytest.approx((-wilson_limits(0, 143)[1], wilson_limits(0, 143)[1]))
    assert 0.021 < high < 0.027


@pytest.mark.parametrize(("gains", "losses"), [(0, 0), (1, 0), (0, 4), (3, 3), (143, 0), (0, 143), (80, 63)])
def test_a_change_is_judged_by_its_counts_and_the_sign_of_a_change_is_a_convention(gains: int, losses: int) -> None:
    value = (gains - losses) / 143
    variance = ((gains + losses) / 143 - value**2) / 143
    low, high = change_interval(SampledMean(value, variance, 0.0, 143))
    assert (low, high) == pytest.approx(paired_limits(gains, losses, 143))
    assert (-high, -low) == pytest.approx(paired_limits(losses, gains, 143))
    assert -1 <= low <= value <= high <= 1
    assert low < high


def test_shares_of_different_images_differ_by_limits_that_change_sign_with_them() -> None:
    first, second = ((share / 143, *wilson_limits(share, 143)) for share in (140, 80))
    low, high = difference_limits(first, second)
    assert difference_limits(second, first) == pytest.approx((-high, -low))
    assert low < 60 / 143 < high
    # Shares that rise and fall together differ less.
    narrow = difference_limits(first, second, 0.5)
    assert low < narrow[0] < narrow[1] < high


@pytest.mark.parametrize("right", [0, 30, 1000])
def test_shares_of_one_trial_each_have_the_exact_limits(right: int) -> None:
    share = right / 1000
    limits = few_trials_interval(SampledMean(share, share * (1 - share) / 1000, 0.0, 1000), 1)
    expected = binomtest(right, 1000).proportion_ci(0.95, "exact")
    assert limits == pytest.approx((expected.low, expected.high), abs=2e-4)


def test_shares_of_a_few_trials_have_no_more_trials_than_there_are() -> None:
    by_chance = few_trials_interval(SampledMean(0.5, 0.0, 0.0, 20), 6)
    most = few_trials_interval(SampledMean(0.5, 0.25 / 120 * 19 / 20, 0.0, 20), 6)
    assert by_chance == pytest.approx(most)
    assert few_trials_interval(SampledMean(0.5, 0.0, 0.0, 20), 12)[0] > by_chance[0]
    assert few_trials_interval(SampledMean(0.5, 0.0, 0.0, 1), 6) == (0, 1)


def test_many_images_have_the_normal_limits() -> None:
    error = math.sqrt((0.2 + 0.1 - 0.1**2) / 1e6)
    expected = 0.1 - 1.96 * error, 0.1 + 1.96 * error
    assert paired_limits(0.2e6, 0.1e6, 1e6) == pytest.approx(expected, abs=1e-5)
    assert mean_interval(SampledMean(0.1, error**2, 0.0, 10**6)) == pytest.approx(expected, abs=1e-5)


def test_a_mean_has_students_limits_moved_towards_the_long_tail() -> None:
    quantile = t.ppf(0.975, 9)
    error = math.sqrt(0.4 / 9 * 10)
    symmetric = mean_interval(SampledMean(2.0, 0.4, 0.0, 10))
    assert symmetric == pytest.approx((2 - quantile * error, 2 + quantile * error))
    right = mean_interval(SampledMean(2.0, 0.4, 0.3, 10))
    assert right[0] > symmetric[0]
    assert right[1] > symmetric[1]
    left = mean_interval(SampledMean(-2.0, 0.4, -0.3, 10))
    assert (-left[1], -left[0]) == pytest.approx(right)


def test_a_difference_is_covered_by_the_corrected_and_the_symmetric_interval() -> None:
    skewed = SampledMean(2.0, 0.4, 0.3, 10)
    (low, high), corrected = mean_difference_interval(skewed), mean_interval(skewed)
    symmetric = mean_interval(SampledMean(2.0, 0.4, 0.0, 10))
    assert (low, high) == (symmetric[0], corrected[1])


def test_a_fraction_stays_in_its_bounds_and_without_variation_has_those_of_a_share() -> None:
    fraction = INTERVALS["fraction"]
    wide = SampledMean(0.9, 0.01, 0.5, 5)
    assert fraction.of_value(wide, 0.95) == (mean_interval(wide)[0], 1)
    assert fraction.of_difference(wide, 0.95) == (mean_difference_interval(wide)[0], 1)
    assert fraction.of_difference(replace(wide, value=-0.9, skewness=-0.5), 0.95)[0] == -1
    still = SampledMean(1.0, 0.0, 0.0, 143)
    assert fraction.of_value(still, 0.95) == share_interval(still)
    assert fraction.of_difference(still, 0.95) == change_interval(still)


def test_moments_are_those_of_the_replicates() -> None:
    drawn = np.random.default_rng(0).gamma(2.0, size=500)
    mean = SampledMean.of(2.0, drawn, math.nan, 40)
    chance = 6 / 500
    assert (mean.variance, mean.skewness) == pytest.approx((drawn.var(), skew(drawn) - chance / skew(drawn)))
    # Five replicates do not show a skewness.
    few = np.array([0.0, 1.0, 2.0, 3.0, 6.0])
    assert skew(few) > 0.5
    assert SampledMean.of(2.0, few, math.nan, 40).skewness == 0
    assert SampledMean.of(2.0, drawn, 0.5, 40).variance == 0.5
    # Rounding is no variation.
    assert SampledMean.of(0.3, 0.3 + 1e-16 * drawn, math.nan, 40).variance == 0


def test_a_wider_level_has_a_wider_interval() -> None:
    mean = SampledMean(0.5, 0.01, 0.2, 30)
    for name in set(INTERVALS) - {"fixed"}:
        for rule in (INTERVALS[name].of_value, INTERVALS[name].of_difference):
            (low, high), (lower, higher) = rule(mean, 0.95), rule(mean, 0.995)
            assert lower < low < high < higher
