"""Neurons used by the paths of each category, shared by many categories, and specific to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nplight.metrics import NeuronCounts


class Shared(NamedTuple):
    """A neuron on many categories' paths: its mean share of a category's images, and the number of categories."""

    layer: int
    neuron: int
    share: float
    categories: int


class Particular(NamedTuple):
    """A neuron specific to a category: the share of its images, and the largest share in any other category."""

    layer: int
    neuron: int
    category: int
    share: float
    elsewhere: float


@dataclass(frozen=True, slots=True)
class Use:
    """The most used neurons of each category.

    Attributes:
        start: (categories + 1,) int64: the entries of category c are `start[c]` to `start[c + 1]`.
        layer: (entries,) int64.
        neuron: (entries,) int64.
        count: (entries,) int64, number of images of the category with the neuron on their path.
        images: (categories,) int64, number of images per category.
    """

    start: Tensor
    layer: Tensor
    neuron: Tensor
    count: Tensor
    images: Tensor

    def dense(self, category: int, widths: tuple[int, ...]) -> Tensor:
        """The share of a category's images: (layers, widest), 0 for neurons without an entry."""
        entries = slice(int(self.start[category]), int(self.start[category + 1]))
        share = torch.zeros(len(widths), max(widths), dtype=torch.float64)
        count = self.count[entries].double()
        share[self.layer[entries], self.neuron[entries]] = count / self.images[category].clamp(min=1)
        return share


def neuron_use(counts: NeuronCounts, *, limit: int) -> Use:
    """The neurons on most images' paths, at most `limit` per category.

    Examples:
        >>> import torch
        >>> from nplight.metrics import neuron_frequency
        >>> from nplight.report import neuron_use
        >>> neurons = torch.tensor([[[0], [2]], [[0], [3]], [[1], [3]]])  # (images, layers, K)
        >>> counts = neuron_frequency(neurons, torch.tensor([0, 0, 1]), num_classes=2, width=4)
        >>> use = neuron_use(counts, limit=10)
        >>> use.dense(0, (4, 4)).tolist()  # shares of the images of category 0
        [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    category, layer, neuron = counts.counts.indices()
    count = counts.counts.values()
    categories = len(counts.images)
    order = count.argsort(descending=True, stable=True)
    order = order[category[order].argsort(stable=True)]
    starts = torch.searchsorted(category[order], torch.arange(categories))
    kept = order[torch.arange(len(order)) - starts[category[order]] < limit]
    start = torch.searchsorted(category[kept], torch.arange(categories + 1))
    return Use(start, layer[kept], neuron[kept], count[kept], counts.images)


def shared_neurons(counts: NeuronCounts, limit: int) -> list[Shared]:
    """The `limit` neurons with the largest mean share over categories, largest first.

    Examples:
        >>> import torch
        >>> from nplight.metrics import neuron_frequency
        >>> from nplight.report import shared_neurons
        >>> neurons = torch.tensor([[[0], [2]], [[0], [3]], [[1], [3]]])  # (images, layers, K)
        >>> counts = neuron_frequency(neurons, torch.tensor([0, 0, 1]), num_classes=2, width=4)
        >>> shared_neurons(counts, 1)
        [Shared(layer=1, neuron=3, share=0.75, categories=2)]
    """
    keys, key_of_entry, share = _shares(counts)
    tested = int((counts.images > 0).sum())
    mean = torch.zeros(len(keys), dtype=torch.float64).index_add_(0, key_of_entry, share) / max(tested, 1)
    users = key_of_entry.bincount(minlength=len(keys))
    best = mean.argsort(descending=True, stable=True)[:limit].tolist()
    return [Shared(*_layer_and_neuron(keys[key], counts), float(mean[key]), int(users[key])) for key in best]


def particular_neurons(counts: NeuronCounts, limit: int) -> list[Particular]:
    """The `limit` neurons with the largest lead of the share in one category over any other, largest lead first.

    Examples:
        >>> import torch
        >>> from nplight.metrics import neuron_frequency
        >>> from nplight.report import particular_neurons
        >>> neurons = torch.tensor([[[0], [2]], [[0], [3]], [[1], [3]]])  # (images, layers, K)
        >>> counts = neuron_frequency(neurons, torch.tensor([0, 0, 1]), num_classes=2, width=4)
        >>> particular_neurons(counts, 1)
        [Particular(layer=0, neuron=0, category=0, share=1.0, elsewhere=0.0)]
    """
    keys, key_of_entry, share = _shares(counts)
    category = counts.counts.indices()[0]
    # By neuron, then by share: the first entry of a neuron is its category's, the second the runner-up's.
    order = share.argsort(descending=True, stable=True)
    order = order[key_of_entry[order].argsort(stable=True)]
    first = torch.searchsorted(key_of_entry[order], torch.arange(len(keys)))
    second = (first + 1).clamp(max=max(len(order) - 1, 0))
    alone = key_of_entry[order[second]] != torch.arange(len(keys))
    top, runner_up = share[order[first]], share[order[second]].masked_fill(alone | (second == first), 0)
    best = (top - runner_up).argsort(descending=True, stable=True)[:limit].tolist()
    return [
        Particular(
            *_layer_and_neuron(keys[key], counts),
            int(category[order[first[key]]]),
            float(top[key]),
            float(runner_up[key]),
        )
        for key in best
    ]


def _shares(counts: NeuronCounts) -> tuple[Tensor, Tensor, Tensor]:
    """The keys of all neurons on paths; per entry of the counts, its key's position and its share of the images."""
    category, layer, neuron = counts.counts.indices()
    keys, key_of_entry = (layer * counts.counts.shape[2] + neuron).unique(return_inverse=True)
    return keys, key_of_entry, counts.counts.values().double() / counts.images[category]


def _layer_and_neuron(key: Tensor, counts: NeuronCounts) -> tuple[int, int]:
    layer, neuron = divmod(int(key), counts.counts.shape[2])
    return layer, neuron
