from __future__ import annotations

import math

import pytest
import torch

from nplight.errors import ArgumentError
from nplight.metrics import (
    ConditionMetrics,
    Replicates,
    all_conditions,
    area,
    area_replicates,
    difference,
    estimate,
    faithfulness_curve,
    pruned_accuracy,
)


def test_the_area_is_that_of_trapezoids_over_the_logarithm() -> None:
    found = area([1, 10, 100], torch.tensor([0.0, 0.5, 1.0]), 100)
    assert found.item() == pytest.approx((0.25 + 0.75) / 2)
    # From 1 to 2 is a third of the way to 8.
    assert area([1, 2, 8], torch.tensor([0.0, 0.6, 0.6]), 8).item() == pytest.approx(0.3 / 3 + 0.6 * 2 / 3)


def test_a_level_curve_has_its_height_whatever_the_sizes() -> None:
    for sizes in ([1, 7], [3, 4, 5, 3072]):
        assert area(sizes, torch.full((len(sizes),), 0.7), sizes[-1]).item() == pytest.approx(0.7)


def test_points_on_the_line_between_others_change_nothing() -> None:
    curve = torch.rand(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    between = torch.stack([curve[0], curve.mean(0), curve[1]])
    torch.testing.assert_close(area([1, 4, 16], between, 16), area([1, 16], curve, 16))


def test_an_incomplete_curve_is_refused() -> None:
    for sizes in ([1, 5], [5, 1, 64], [0, 64], [64], [1, 1, 64]):
        with pytest.raises(ArgumentError, match=r"`sizes` must be at least two, .* end with `total` = 64"):
            area(sizes, torch.ones(len(sizes)), 64)
    with pytest.raises(ArgumentError, match="`accuracies` must be one for each of the 2 sizes, got 3"):
        area([1, 64], torch.ones(3), 64)


def test_the_curve_has_its_points_and_its_area_with_intervals() -> None:
    draw = torch.Generator().manual_seed(0)
    points = [Replicates(torch.rand(41, generator=draw), torch.tensor(9)) for _ in range(3)]
    curve = faithfulness_curve([1, 5, 64], points, 64)
    assert curve.sizes == (1, 5, 64)
    assert curve.accuracy == tuple(estimate(one) for one in points)
    areas = area_replicates([1, 5, 64], points, 64)
    for place in range(41):
        one = area([1, 5, 64], torch.stack([point.values[place] for point in points]), 64)
        torch.testing.assert_close(areas.values[place], one)
    assert curve.area == estimate(areas)
    assert curve.area.images == 9


def test_the_points_are_the_pruned_conditions_and_the_clean_one() -> None:
    conditions = all_conditions(1, (4, 1, 64), (0.5, 1.0))
    metrics = ConditionMetrics(conditions, 3, replicates=20)
    draw = torch.Generator().manual_seed(0)
    probabilities = [torch.randn(8, 3, generator=draw).softmax(1) for _ in conditions]
    metrics.update(probabilities, torch.randint(3, (8,), generator=draw), torch.arange(8))
    results = {(one.kept, one.pruned): one for one in metrics.compute()}
    sizes, points = pruned_accuracy(metrics, 64, measure="probability")
    assert sizes == [1, 4, 64]
    values = [
        results[1, 1.0].value("probability"),
        results[4, 1.0].value("probability"),
        results[None, None].value("probability"),
    ]
    assert [estimate(one).value for one in points] == pytest.approx(values)
    itself = area_replicates(sizes, points, 64)
    found = difference(itself, itself)
    # Equal curves on eight images do not show that all images would be equal.
    assert found.value == 0
    assert found.low < 0 < found.high
    assert not math.isnan(estimate(itself).low)
