from __future__ import annotations

import math

import pytest
import torch

from nplight.errors import ArgumentError
from nplight.metrics import INTERVALS, Estimate, Interval, Replicates, difference, estimate


def replicates(*values: float, images: int = 4) -> Replicates:
    return Replicates(torch.tensor(values, dtype=torch.float64), torch.tensor(images))


def test_undefined_replicates_are_left_out() -> None:
    drawn = [0.25 + step / 40 for step in range(-20, 21)]
    found = estimate(replicates(0.25, *drawn, math.nan))
    assert found == estimate(replicates(0.25, *drawn))
    assert (found.value, found.images) == (0.25, 4)
    assert found.low < 0.25 < found.high


def test_estimates_are_equal_if_their_numbers_are() -> None:
    undefined = Estimate(0.0, math.nan, float("nan"), 3)
    assert undefined == Estimate(0.0, float("nan"), math.nan, 3)
    assert len({undefined, Estimate(0.0, float("nan"), math.nan, 3), Estimate(0.0, -1.0, 1.0, 3)}) == 2
    assert undefined.to_dict() == {"value": 0.0, "low": None, "high": None, "images": 3}


@pytest.mark.parametrize("interval", INTERVALS)
def test_no_interval_is_a_point(interval: Interval) -> None:
    constant = Replicates(torch.ones(21, dtype=torch.float64), torch.tensor(143), interval=interval)
    for found in (estimate(constant), difference(constant, constant)):
        assert math.isnan(found.low) if interval in ("mean", "fixed") else found.low < found.high
        assert math.isnan(found.high) == math.isnan(found.low)


def test_without_replicates_there_is_no_interval() -> None:
    for one in (replicates(0.5), Replicates(torch.tensor(0.5), torch.tensor(4))):
        found = estimate(one)
        assert found.value == 0.5
        assert math.isnan(found.low)
        assert math.isnan(found.high)


def test_a_difference_is_that_of_each_replicate() -> None:
    first, second = replicates(0.5, 1.0, 2.0, 3.0, images=5), replicates(0.25, 0.0, 1.0, 2.0)
    found = difference(first, second)
    # It is 1 in every replicate.
    assert found == Estimate(0.25, math.nan, math.nan, 4)
    with pytest.raises(ArgumentError, match="`second` must have as many replicates as `first`, 3, got 2"):
        difference(first, replicates(0.0, 1.0, 2.0))
    with pytest.raises(ArgumentError, match="of the same kind of values as `first`, 'mean', got 'share'"):
        difference(first, second._replace(interval="share"))


def test_one_figure_of_several_is_named_by_its_place() -> None:
    several = Replicates(torch.arange(12.0).view(2, 2, 3), torch.arange(4).view(2, 2))
    torch.testing.assert_close(several.of((1, 0))[:2], (torch.tensor([6.0, 7.0, 8.0]), torch.tensor(2)))
