from __future__ import annotations

import math

import pytest
import torch

from nplight.errors import ArgumentError
from nplight.metrics import Replicates, difference, estimate


def replicates(*values: float, images: int = 4) -> Replicates:
    return Replicates(torch.tensor(values, dtype=torch.float64), torch.tensor(images))


def test_the_interval_lies_between_the_quantiles_of_the_replicates_without_the_undefined() -> None:
    found = estimate(replicates(0.3, *range(41), math.nan))
    assert (found.value, found.low, found.high, found.images) == (pytest.approx(0.3), 1, 39, 4)


def test_without_replicates_there_is_no_interval() -> None:
    for one in (replicates(0.5), Replicates(torch.tensor(0.5), torch.tensor(4))):
        found = estimate(one)
        assert found.value == 0.5
        assert math.isnan(found.low)
        assert math.isnan(found.high)


def test_a_difference_is_that_of_each_replicate() -> None:
    first, second = replicates(0.5, 1.0, 2.0, 3.0, images=5), replicates(0.25, 0.0, 1.0, 2.0)
    found = difference(first, second)
    assert (found.value, found.low, found.high, found.images) == (0.25, 1.0, 1.0, 4)
    with pytest.raises(ArgumentError, match="`second` must have as many replicates as `first`, 3, got 2"):
        difference(first, replicates(0.0, 1.0, 2.0))


def test_one_figure_of_several_is_named_by_its_place() -> None:
    several = Replicates(torch.arange(12.0).view(2, 2, 3), torch.arange(4).view(2, 2))
    torch.testing.assert_close(several.of((1, 0)), Replicates(torch.tensor([6.0, 7.0, 8.0]), torch.tensor(2)))
