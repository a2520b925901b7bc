"""The path of each category as a strip: boxes of neurons per layer, and the images that go from one to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from nplight.metrics import NeuronCounts
from nplight.paths import CategoryPaths
from nplight.store import PathTable

RUNNERS_UP = 2
"""Neurons per layer that are shown beneath the path: those on most images' paths."""

WIDEST = 5
"""Links between two layers that are drawn one by one; the others are one link."""

_MOST_LINKED = 12
"""Boxes per layer up to which links are counted: their number grows with the square."""

_MOST_COMPARED = 2_000_000
"""Neurons of image paths times boxes that are compared at once, which bounds the memory."""

_COLUMNS = ["label", "prediction", "neurons", "neuron_scores"]


@dataclass(frozen=True, slots=True)
class Strips:
    """One strip per category.

    Attributes:
        path: boxes per layer that are on the category's path, in its order; they come before the runners-up.
        neurons: (categories, layers, boxes) int64; -1 where there are fewer neurons.
        count: (categories, layers, boxes) int64, images of the category with the neuron on their own path.
        share: (categories, layers, boxes) float64, of the sum of the scores of these images' neurons; NaN if unknown.
        links: (categories, layers - 1, boxes, boxes) int64, images with both neurons; `None` if not counted.
        images: (categories,) int64.
        top_k: neurons per layer of an image's path; 0 if there are no image paths.
    """

    path: int
    neurons: Tensor
    count: Tensor
    share: Tensor
    links: Tensor | None
    images: Tensor
    top_k: int

    def widest(self, category: int, layer: int) -> list[tuple[int, int, int]]:
        """The widest links from a layer to the next, as box, box and images; the widest first."""
        if self.links is None:
            return []
        counts = self.links[category, layer].flatten()
        order = counts.argsort(descending=True, stable=True)[:WIDEST].tolist()
        boxes = self.neurons.shape[2]
        return [(*divmod(place, boxes), int(counts[place])) for place in order if counts[place] > 0]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the page's script: flat lists, shares in thousandths."""
        categories, layers, _ = self.neurons.shape
        links = None
        if self.links is not None:
            links = [
                [[first, second, images] for first, second, images in self.widest(category, layer)]
                for category in range(categories)
                for layer in range(layers - 1)
            ]
        return {
            "path": self.path,
            "topK": self.top_k,
            "boxes": self.neurons.shape[2],
            "neurons": self.neurons.flatten().tolist(),
            "count": self.count.flatten().tolist(),
            "share": [None if value != value else round(1000 * value) for value in self.share.flatten().tolist()],
            "links": links,
            "images": self.images.tolist(),
        }


def path_strips(table: PathTable, counts: NeuronCounts, paths: CategoryPaths | None) -> Strips:
    """The strips of a search, over all its images; without category paths only the most used neurons.

    Args:
        table: the rows of the search.
        counts: how often each neuron is on the path of a category's images.
        paths: the category paths; `None`: there are none.
    """
    neurons = _boxes(counts, None if paths is None else _of_all_categories(paths.neurons, len(counts.images)))
    categories, layers, boxes = neurons.shape
    linked = boxes <= _MOST_LINKED
    links = torch.zeros(categories, layers - 1, boxes, boxes, dtype=torch.int64) if linked else None
    score, total = torch.zeros(neurons.shape, dtype=torch.float64), torch.zeros(categories, dtype=torch.float64)
    top_k = table.shape("neurons")[1]
    for rows in table.batches(_COLUMNS, size=max(1, _MOST_COMPARED // (layers * boxes * top_k))):
        category = torch.where(rows["label"] < 0, rows["prediction"], rows["label"])
        hit = rows["neurons"][..., None] == neurons[category][:, :, None]
        score.index_add_(0, category, (hit * rows["neuron_scores"].double()[..., None]).sum(2))
        total.index_add_(0, category, rows["neuron_scores"].double().sum((1, 2)))
        if links is not None:
            on_path = hit.any(2)
            both = on_path[:, :-1, :, None] & on_path[:, 1:, None]
            links.index_add_(0, category, both.long())
    return Strips(
        path=0 if paths is None else paths.top_k,
        neurons=neurons,
        count=_counted(counts, neurons),
        share=torch.where(total > 0, 1 / total, torch.nan)[:, None, None] * score,
        links=links,
        images=counts.images,
        top_k=top_k,
    )


def strips_of_paths(paths: CategoryPaths) -> Strips:
    """The strips of category paths without image paths: the support of the paths, and no links."""
    frequency = paths.method in ("frequency", "rank-mode")
    return Strips(
        path=paths.top_k,
        neurons=paths.neurons,
        count=paths.votes.long() if frequency else torch.full_like(paths.neurons, -1),
        share=torch.full(paths.neurons.shape, torch.nan, dtype=torch.float64),
        links=None,
        images=paths.images,
        top_k=0,
    )


def _of_all_categories(neurons: Tensor, categories: int) -> Tensor:
    """The category paths, with -1 for categories without one."""
    return pad(neurons, (0, 0, 0, 0, 0, categories - len(neurons)), value=-1)


def _boxes(counts: NeuronCounts, path: Tensor | None) -> Tensor:
    """(categories, layers, boxes): the path, then the most used of the others, by number where two are used alike."""
    categories, layers, _ = counts.counts.shape
    others = RUNNERS_UP + (path is None)
    category, layer, neuron = counts.counts.indices()
    used = counts.counts.values()
    if path is not None:
        on_path = torch.isin(_keys(category, layer, neuron, counts), _keys_of(path, counts)[path >= 0])
        category, layer, neuron, used = (column[~on_path] for column in (category, layer, neuron, used))
    order = used.argsort(descending=True, stable=True)
    cell = category * layers + layer
    order = order[cell[order].argsort(stable=True)]
    rank = torch.arange(len(order)) - torch.searchsorted(cell[order], cell[order])
    first = rank < others
    boxes = torch.full((categories * layers, others), -1)
    boxes[cell[order][first], rank[first]] = neuron[order][first]
    boxes = boxes.unflatten(0, (categories, layers))
    return boxes if path is None else torch.cat([path, boxes], 2)


def _counted(counts: NeuronCounts, neurons: Tensor) -> Tensor:
    """How many images of its category have each neuron; 0 where there is none."""
    category, layer, neuron = counts.counts.indices()
    # The counts are coalesced, so that their keys ascend; a last key and count stand for all that are not there.
    keys = pad(_keys(category, layer, neuron, counts), (0, 1), value=2**62)
    values = pad(counts.counts.values(), (0, 1))
    wanted = _keys_of(neurons, counts)
    place = torch.searchsorted(keys, wanted)
    return torch.where((keys[place] == wanted) & (neurons >= 0), values[place], 0)


def _keys_of(neurons: Tensor, counts: NeuronCounts) -> Tensor:
    """A key of each neuron of (categories, layers, n)."""
    categories, layers, _ = neurons.shape
    return _keys(torch.arange(categories)[:, None, None], torch.arange(layers)[None, :, None], neurons, counts)


def _keys(category: Tensor, layer: Tensor, neuron: Tensor, counts: NeuronCounts) -> Tensor:
    _, layers, width = counts.counts.shape
    return (category * layers + layer) * width + neuron
