"""Which neurons the paths of a category use, and which are shared by many categories or belong to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nplight.metrics import NeuronCounts


class Shared(NamedTuple):
    """A neuron of many categories' paths: its mean share of a category's images, and the categories that use it."""

    layer: int
    neuron: int
    share: float
    categories: int


class Particular(NamedTuple):
    """A neuron of one category's paths: the share of its images, and the largest of any other category's."""

    layer: int
    neuron: int
    category: int
    share: float
    elsewhere: float


@dataclass(frozen=True, slots=True)
class Use:
    """The neurons most used by each category.

    Attributes:
        start: (categories + 1,) int64: those of category c are `start[c]` to `start[c + 1]`.
        layer: (entries,) int64.
        neuron: (entries,) int64.
        count: (entries,) int64, images of the category with the neuron on their path.
        images: (categories,) int64.
    """

    start: Tensor
    layer: Tensor
    neuron: Tensor
    count: Tensor
    images: Tensor

    def dense(self, category: int, widths: tuple[int, ...]) -> Tensor:
        """The share of a category's images: (layers, widest), 0 where a neuron is not among the entries."""
        own = slice(int(self.start[category]), int(self.start[category + 1]))
        found = torch.zeros(len(widths), max(widths), dtype=torch.float64)
        found[self.layer[own], self.neuron[own]] = self.count[own].double() / self.images[category].clamp(min=1)
        return found


def neuron_use(counts: NeuronCounts, *, most: int) -> Use:
    """The at most `most` neurons that most images of each category have on their path."""
    category, layer, neuron = counts.counts.indices()
    count = counts.counts.values()
    categories = len(counts.images)
    order = count.argsort(descending=True, stable=True)
    order = order[category[order].argsort(stable=True)]
    starts = torch.searchsorted(category[order], torch.arange(categories))
    kept = order[torch.arange(len(order)) - starts[category[order]] < most]
    start = torch.searchsorted(category[kept], torch.arange(categories + 1))
    return Use(start, layer[kept], neuron[kept], count[kept], counts.images)


def shared_neurons(counts: NeuronCounts, most: int) -> list[Shared]:
    """The neurons with the largest mean share over categories, largest first."""
    keys, place, share = _shares(counts)
    tested = int((counts.images > 0).sum())
    mean = torch.zeros(len(keys), dtype=torch.float64).index_add_(0, place, share) / max(tested, 1)
    users = place.bincount(minlength=len(keys))
    best = mean.argsort(descending=True, stable=True)[:most].tolist()
    return [Shared(*_named(keys[one], counts), float(mean[one]), int(users[one])) for one in best]


def particular_neurons(counts: NeuronCounts, most: int) -> list[Particular]:
    """The neurons whose share in one category exceeds that in any other the most, largest lead first."""
    keys, place, share = _shares(counts)
    category = counts.counts.indices()[0]
    # By neuron, and in it by share: the first is the category's, the second the runner-up.
    order = share.argsort(descending=True, stable=True)
    order = order[place[order].argsort(stable=True)]
    first = torch.searchsorted(place[order], torch.arange(len(keys)))
    second = (first + 1).clamp(max=max(len(order) - 1, 0))
    alone = place[order[second]] != torch.arange(len(keys))
    top, runner_up = share[order[first]], share[order[second]].masked_fill(alone | (second == first), 0)
    best = (top - runner_up).argsort(descending=True, stable=True)[:most].tolist()
    return [
        Particular(*_named(keys[one], counts), int(category[order[first[one]]]), float(top[one]), float(runner_up[one]))
        for one in best
    ]


def _shares(counts: NeuronCounts) -> tuple[Tensor, Tensor, Tensor]:
    """The neurons on any path, and for each entry of the counts which of them it is and its share of the images."""
    category, layer, neuron = counts.counts.indices()
    keys, place = (layer * counts.counts.shape[2] + neuron).unique(return_inverse=True)
    return keys, place, counts.counts.values().double() / counts.images[category]


def _named(key: Tensor, counts: NeuronCounts) -> tuple[int, int]:
    layer, neuron = divmod(int(key), counts.counts.shape[2])
    return layer, neuron
