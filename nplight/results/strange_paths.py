"""Paths that are unlike the other paths of their category: of images that are shifted, mislabelled or attacked, say."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nplight.errors import ArgumentError, check_at_least
from nplight.metrics import NeuronCounts, NeuronFrequency
from nplight.searching.neuron_counts import neuron_keys
from nplight.store import PathTable

NEURONS = 10
"""Neurons per layer that are compared: one alone is too coarse a measure."""


@dataclass(frozen=True, slots=True)
class StrangePath:
    """An image whose path is unlike those of its category.

    Attributes:
        index: of the image.
        file: its name.
        category: its target, which its path was found for: in `predict` the predicted category.
        probability: of the target.
        strangeness: mean distance to the paths of the category's images, in [0, 1].
        images: how many these are.

    Examples:
        >>> from nplight.report import read_run
        >>> from nplight.results import strangest_paths
        >>> run = read_run("runs/digits")
        >>> table, width = run.image_paths("jas"), max(run.widths)
        >>> (path,) = strangest_paths(table, 1, num_classes=len(run.names), width=width)
        >>> path.strangeness > 0.8  # it shares less than a fifth of its neurons with the others
        True
    """

    index: int
    file: str
    category: int
    probability: float
    strangeness: float
    images: int


def strangest_paths(
    table: PathTable,
    count: int,
    *,
    num_classes: int,
    width: int,
    neurons: int = NEURONS,
    reference: PathTable | None = None,
) -> list[StrangePath]:
    """The images whose paths are least like those of the category that they were found for.

    Images whose category has no other image are left out. Two passes over the rows; the memory is bounded by categories
    x layers x width.

    Args:
        table: the rows of one search.
        count: how many images.
        num_classes: number of categories.
        width: neurons in the widest layer.
        neurons: per layer that are compared, the first of the ranking; fewer where fewer are stored.
        reference: the rows to compare with, of the same search of the same model; `None`: those of `table`.

    Returns:
        The strangest first; of equal ones that of lower index.

    Raises:
        ArgumentError: `count` or `neurons` is below 1, or the rows are of models of different depth.

    Examples:
        >>> from nplight.report import read_run
        >>> from nplight.results import strangest_paths
        >>> run = read_run("runs/digits")
        >>> table, width = run.image_paths("jas"), max(run.widths)
        >>> paths = strangest_paths(table, len(table), num_classes=len(run.names), width=width)
        >>> paths[0].strangeness > 0.8, paths[-1].strangeness < 0.5  # from the least usual to the most usual
        (True, True)
    """
    check_at_least("count", count, 1)
    check_at_least("neurons", neurons, 1)
    others = table if reference is None else reference
    (depth, stored), (other_depth, other_stored) = table.shape("ranking"), others.shape("ranking")
    if depth != other_depth:
        raise ArgumentError(f"`reference` must hold paths through {depth} layers, got {other_depth}")
    neurons = min(neurons, stored, other_stored)
    counts = _counts(others, num_classes, width, neurons)
    best = torch.empty(0, 4, dtype=torch.float64)  # strangeness, index, category, probability
    for rows in table.batches(["index", "target", "probability", "ranking"]):
        values = strangeness(rows["ranking"][..., :neurons], rows["target"], counts, among=reference is None)
        found = torch.stack([values, *(rows[name].double() for name in ("index", "target", "probability"))], 1)
        best = torch.cat([best, found[~values.isnan()]])
        best = best[best[:, 1].argsort()]
        best = best[best[:, 0].argsort(descending=True, stable=True)][:count]
    return _named(table, best, counts.images - int(reference is None))


def strangeness(ranking: Tensor, categories: Tensor, counts: NeuronCounts, *, among: bool) -> Tensor:
    """Mean distance of each path to those of its category: 1 - mean over layers of the share of common neurons.

    It is the distance of `path_distance`, of one image to all others.

    Args:
        ranking: (images, layers, K) int64, K different neurons in each layer.
        categories: (images,) int64.
        counts: of K neurons per layer of the images to compare with.
        among: whether the images are some of these; an image is not compared with itself.

    Returns:
        (images,) float64 in [0, 1]; NaN where the category has no other image.

    Examples:
        >>> import torch
        >>> from nplight.metrics import neuron_frequency
        >>> from nplight.results import strangeness
        >>> ranking, categories = torch.tensor([[[0], [2]], [[0], [2]], [[1], [3]]]), torch.tensor([0, 0, 0])
        >>> counts = neuron_frequency(ranking, categories, num_classes=1, width=4)
        >>> strangeness(ranking, categories, counts, among=True).tolist()  # the last shares no neuron with the others
        [0.5, 0.5, 1.0]
    """
    depth, width = counts.counts.shape[1:]
    category, layer, neuron = counts.counts.indices()
    keys, values = (category * depth + layer) * width + neuron, counts.counts.values()
    wanted = neuron_keys(categories, ranking, width)
    position = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    itself = int(among)
    common = torch.where(keys[position] == wanted, values[position], 0).double() - itself
    images = (counts.images[categories] - itself).double()
    return torch.where(images > 0, 1 - common.mean((1, 2)) / images, torch.nan)


def _counts(table: PathTable, num_classes: int, width: int, neurons: int) -> NeuronCounts:
    frequency = NeuronFrequency(num_classes, table.shape("ranking")[0], width, sync_on_compute=False)
    for rows in table.batches(["target", "ranking"]):
        frequency.update(rows["ranking"][..., :neurons], rows["target"])
    counts: NeuronCounts = frequency.compute()
    return counts


def _named(table: PathTable, best: Tensor, images: Tensor) -> list[StrangePath]:
    names = table.to_arrow(["index", "file"])
    order = torch.as_tensor(table["index"])
    positions = torch.searchsorted(order, best[:, 1].long()).tolist()
    files = names["file"].take(positions).to_pylist()
    return [
        StrangePath(int(index), file, int(category), probability, value, int(images[int(category)]))
        for (value, index, category, probability), file in zip(best.tolist(), files)
    ]
