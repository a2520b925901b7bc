from __future__ import annotations

from itertools import pairwise

import torch

from nplight import CategoryPaths
from nplight.report.value_histogram import EDGES, ValueHistograms

NEURONS = [(0, 3), (1, 0), (1, 2)]


def paths() -> CategoryPaths:
    neurons = torch.tensor([[[3], [0]], [[3], [2]], [[1], [2]]])
    return CategoryPaths(neurons, neurons.double(), torch.tensor([4, 4, 4]), "frequency")


def test_counts_are_those_of_a_look_at_every_value() -> None:
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(90, 3, generator=draw) * 10
    values[5, 1], values[6, 2] = torch.nan, torch.inf
    labels = torch.arange(90) % 4
    whole, parts = ValueHistograms(NEURONS, paths()), ValueHistograms(NEURONS, paths())
    whole.update(values, labels)
    for part in (slice(0, 7), slice(7, 90)):
        parts.update(values[part], labels[part])
    assert torch.equal(whole.counts, parts.counts)
    users = [{0, 1}, {0}, {1, 2}]
    limits = [-torch.inf, *EDGES, torch.inf]
    for number, own in enumerate(users):
        for group, members in enumerate((own, set(range(4)) - own)):
            for bin_, (low, high) in enumerate(pairwise(limits)):
                inside = [
                    low < value <= high
                    for value, label in zip(values[:, number].tolist(), labels.tolist())
                    if label in members and abs(value) < torch.inf
                ]
                assert whole.counts[number, group, bin_] == sum(inside)


def test_a_file_holds_the_bins_with_images() -> None:
    histograms = ValueHistograms(NEURONS, paths())
    assert histograms.to_dict(0) == {"first": 0, "own": [], "rest": []}
    histograms.update(torch.tensor([[0.0, 0.0, 0.0], [1.5, 0.0, 0.0]]), torch.tensor([0, 2]))
    found = histograms.to_dict(0)
    assert (sum(found["own"]), sum(found["rest"])) == (1, 1)
    assert EDGES[found["first"] - 1] < 0 <= EDGES[found["first"]]
    last = found["first"] + len(found["own"]) - 1
    assert EDGES[last - 1] < 1.5 <= EDGES[last]


def test_edges_ascend_on_both_sides_of_zero() -> None:
    assert list(EDGES) == sorted(set(EDGES))
    assert [-edge for edge in EDGES[::-1]] == list(EDGES)
