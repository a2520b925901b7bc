from __future__ import annotations

import math
from itertools import combinations

import pytest
import torch
from torch import Tensor

from nplight.errors import ArgumentError
from nplight.metrics import (
    Replicates,
    distance_summary,
    estimate,
    neuron_frequency,
    path_agreement,
    path_distance,
    poisson_weights,
)
from tests.metrics.test_frequency import SIZES, drawn_paths


def over_pairs(neurons: Tensor, labels: Tensor) -> Tensor:
    """Every pair of images by itself."""
    distances: dict[tuple[int, int], list[float]] = {}
    for i, j in combinations(range(len(labels)), 2):
        distance = 1 - path_agreement(neurons[i : i + 1], neurons[j : j + 1]).mean().item()
        first, second = sorted((int(labels[i]), int(labels[j])))
        distances.setdefault((first, second), []).append(distance)
    found = torch.full((4, 4), torch.nan, dtype=torch.float64)
    for (first, second), values in distances.items():
        found[first, second] = found[second, first] = sum(values) / len(values)
    return found


def test_distances_from_counts_are_those_over_all_pairs() -> None:
    neurons, labels = drawn_paths()
    labels[0], labels[1:][labels[1:] == 2] = 2, 1  # category 2 has one image, category 3 none
    found = path_distance(neuron_frequency(neurons, labels, **SIZES))
    torch.testing.assert_close(found, over_pairs(neurons, labels), equal_nan=True, rtol=1e-12, atol=1e-12)
    assert found[2, 2].isnan()
    assert not found[2, :2].isnan().any()
    assert found[3].isnan().all()


def test_equal_paths_are_0_apart_and_disjoint_ones_1() -> None:
    neurons = torch.tensor([[0, 1], [1, 0], [5, 6]])[:, None].expand(3, 3, 2)
    found = path_distance(neuron_frequency(neurons, torch.tensor([0, 0, 1]), **SIZES))
    assert found[:2, :2].nan_to_num(-1).tolist() == [[0, 1], [1, -1]]


def test_no_images_have_no_distance() -> None:
    neurons, labels = drawn_paths()
    assert path_distance(neuron_frequency(neurons[:0], labels[:0], **SIZES)).isnan().all()


def test_paths_of_different_sizes_are_refused() -> None:
    neurons, labels = drawn_paths()
    neurons[4, 1] = neurons[4, 1, 0]
    with pytest.raises(ArgumentError, match="`frequency` must be of paths with the same number of distinct neurons"):
        path_distance(neuron_frequency(neurons, labels, **SIZES))


def test_the_summary_weighs_categories_and_their_pairs_alike() -> None:
    distance = torch.tensor([[0.2, 0.8, 0.6], [0.8, math.nan, 0.5], [0.6, 0.5, 0.4]], dtype=torch.float64)
    images = torch.tensor([100, 1, 2])
    found = distance_summary(distance, images, replicates=60)
    assert found.within.value == pytest.approx((0.2 + 0.4) / 2)
    assert found.between.value == pytest.approx((0.8 + 0.6 + 0.5) / 3)
    assert found.difference.value == pytest.approx(found.between.value - found.within.value)
    assert (found.within.images, found.between.images) == (102, 103)
    # Two categories of each replicate's draw are compared as often as they were drawn together.
    weights = poisson_weights(torch.arange(3), replicates=60).double()
    a, b, c = weights
    between = (0.8 * a * b + 0.6 * a * c + 0.5 * b * c) / (a * b + a * c + b * c)
    within = (0.2 * a + 0.4 * c) / (a + c)
    for summary, drawn in ((found.between, between), (found.within, within)):
        values = torch.cat([torch.tensor([summary.value], dtype=torch.float64), drawn])
        expected = estimate(Replicates(values, torch.tensor(summary.images), interval="fraction"))
        assert [summary.low, summary.high] == pytest.approx([expected.low, expected.high])


def test_one_category_alone_is_compared_with_none() -> None:
    neurons, labels = drawn_paths()
    frequency = neuron_frequency(neurons, labels * 0, num_classes=1, width=9)
    found = distance_summary(path_distance(frequency), frequency.images, replicates=10)
    assert 0 < found.within.value < 1
    assert math.isnan(found.between.value)
    assert math.isnan(found.difference.value)
