"""Pictures for the report, gathered over batches: samples of each category, and the images that drive each neuron."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nplight.attribution import at_least_float32
from nplight.data import ImageBatch
from nplight.errors import ArgumentError
from nplight.metrics import all_conditions, predictions
from nplight.neurons import at_sites
from nplight.paths import CategoryPaths
from nplight.report.thumbnails import patch_grid, thumbnail
from nplight.report.value_histogram import ValueHistograms
from nplight.seeds import checksums
from nplight.vit import OpenViT, undisturbed

Neuron = tuple[int, int]

_LEVELS = 99


@dataclass(frozen=True, slots=True)
class Picture:
    """An image to show.

    Attributes:
        key: the checksum of its pixels.
        file: its file name.
        label: its category.
        source: a thumbnail as a data URI.
    """

    key: int
    file: str
    label: int
    source: str


@dataclass(order=True, frozen=True, slots=True)
class Ranked:
    """A ranked picture; larger `order` is better.

    Attributes:
        order: the ranking key, distinct for distinct images.
        picture: the picture.
        values: of a sample its clean, removed and enhanced probability; of a driver the neuron's value.
        patches: of a driver the neuron's value at each patch, row by row, scaled to 0 … 99; empty for a sample.
    """

    order: tuple[float, int]
    picture: Picture = field(compare=False)
    values: tuple[float, ...] = field(compare=False)
    patches: tuple[int, ...] = field(compare=False, default=())


class Gallery:
    """A bounded number of pictures, independent of the batches and the number of processes.

    The samples of a category are its images with the lowest checksums. The drivers of a neuron are the images with the
    largest value of the neuron, averaged over the path tokens. The histograms count these values of all images.

    Args:
        vit: the opened model.
        paths: the category paths that are removed and enhanced, and whose neurons have drivers.
        per_category: samples per category.
        per_neuron: drivers per neuron.
        most_neurons: maximum number of neurons with drivers: those on most category paths, then of most support.
        size: the longer edge of a thumbnail in pixels; smaller images are not resized.
        mean: per channel, to undo the normalisation; `None` stretches each image to the full range.
        std: per channel.

    Examples:
        >>> import nplight
        >>> from nplight.data import ImageBatch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.report import Gallery
        >>> planted = build_planted(PLANTED["chain"])
        >>> paths = nplight.category_paths(planted.paths, planted.labels, num_classes=4)
        >>> gallery = Gallery(nplight.open_vit(planted.model), paths, per_neuron=1)
        >>> gallery.update(ImageBatch(planted.images, planted.labels))
        >>> neuron = paths.neurons[3, 0, 0].item()  # of layer 0 on the path of category 3
        >>> gallery.drivers[0, neuron][0].picture.label
        3
    """

    def __init__(
        self,
        vit: OpenViT,
        paths: CategoryPaths,
        *,
        per_category: int = 4,
        per_neuron: int = 9,
        most_neurons: int = 240,
        size: int = 64,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        self.per_category, self.per_neuron, self.size = per_category, per_neuron, size
        self.neurons = _commonest(paths, most_neurons)
        self.grid: tuple[int, int] | None = None
        self.samples: dict[int, list[Ranked]] = {}
        self.drivers: dict[Neuron, list[Ranked]] = {neuron: [] for neuron in self.neurons}
        self.histograms = ValueHistograms(self.neurons, paths)
        self._vit, self._paths = vit.with_all_tokens() if paths.tokens == "all" else vit, paths
        self._colours = None if mean is None or std is None else (torch.tensor(mean), torch.tensor(std))

    def update(self, batch: ImageBatch) -> None:
        """Add labelled images, on the model's device.

        Raises:
            ArgumentError: the images have no labels.
        """
        if batch.labels is None:
            raise ArgumentError("`batch` must have labels, got images without any; give labels to have pictures")
        keys = checksums(batch.images)
        self._sample(batch, batch.labels, keys)
        if self.neurons and self.per_neuron:
            self._drive(batch, batch.labels, keys)

    def merge(
        self, grid: tuple[int, int] | None, samples: dict[int, list[Ranked]], drivers: dict[Neuron, list[Ranked]]
    ) -> None:
        """Add the pictures of another process; the counts of `histograms` add up."""
        self.grid = self.grid or grid
        for label, pictures in samples.items():
            self._keep(self.samples, label, pictures, self.per_category)
        for neuron, pictures in drivers.items():
            self._keep(self.drivers, neuron, pictures, self.per_neuron)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file: each picture once; samples and drivers refer to pictures by number."""
        lists = [*self.samples.values(), *self.drivers.values()]
        pictures = list({entry.picture.key: entry.picture for entries in lists for entry in entries}.values())
        numbers = {picture.key: number for number, picture in enumerate(pictures)}
        return {
            "grid": self.grid,
            "pictures": [
                {"file": picture.file, "label": picture.label, "source": picture.source} for picture in pictures
            ],
            "samples": {
                str(label): [[numbers[entry.picture.key], *entry.values] for entry in entries]
                for label, entries in sorted(self.samples.items())
            },
            "drivers": [
                {
                    "layer": layer,
                    "neuron": neuron,
                    "images": [[numbers[entry.picture.key], *entry.values, list(entry.patches)] for entry in entries],
                    "values": self.histograms.to_dict(number),
                }
                for number, ((layer, neuron), entries) in enumerate(self.drivers.items())
            ],
        }

    def _sample(self, batch: ImageBatch, targets: Tensor, keys: Sequence[int]) -> None:
        orders = [(-float(key), key) for key in keys]
        labels = targets.tolist()
        chosen = [
            position
            for position, (order, label) in enumerate(zip(orders, labels))
            if self._admits(self.samples.get(label, []), order, self.per_category)
        ]
        if not chosen:
            return
        positions = torch.tensor(chosen, device=targets.device)
        targets = targets[positions]
        conditions = all_conditions(self._paths.top_k, (), (), tokens=self._paths.tokens)
        paths = {"": {self._paths.top_k: self._paths}}
        probabilities = predictions(self._vit, batch.select(positions).images, targets, conditions, paths)[""]
        of_targets = torch.stack([scores.gather(1, targets[:, None])[:, 0] for scores in probabilities], 1).tolist()
        for position, values in zip(chosen, of_targets):
            picture = self._picture(batch, position, labels[position], keys[position])
            sample = Ranked(orders[position], picture, tuple(round(value, 5) for value in values))
            self._keep(self.samples, labels[position], [sample], self.per_category)

    def _drive(self, batch: ImageBatch, targets: Tensor, keys: Sequence[int]) -> None:
        values, labels = self._values(batch.images), targets.tolist()
        driving = at_least_float32(values[:, self._vit.path_tokens]).mean(1)
        self.histograms.update(driving, targets)
        self.grid = patch_grid(values.shape[1], *batch.images.shape[-2:])
        best = driving.topk(min(self.per_neuron, len(driving)), dim=0)
        candidates = zip(self.neurons, best.values.T.tolist(), best.indices.T.tolist())
        for column, (neuron, amounts, positions) in enumerate(candidates):
            for amount, position in zip(amounts, positions):
                order = (amount, -keys[position])
                if math.isfinite(amount) and self._admits(self.drivers[neuron], order, self.per_neuron):
                    patches = self._patches(values[position, :, column])
                    picture = self._picture(batch, position, labels[position], keys[position])
                    driver = Ranked(order, picture, (float(f"{amount:.4g}"),), patches)
                    self._keep(self.drivers, neuron, [driver], self.per_neuron)

    def _values(self, images: Tensor) -> Tensor:
        """The values of `neurons` at every token: (images, tokens, neurons)."""
        of_layer: dict[int, Tensor] = {}

        def read(layer: int) -> Any:
            in_layer = [neuron for neuron_layer, neuron in self.neurons if neuron_layer == layer]
            columns = torch.tensor(in_layer, device=images.device)

            def keep(values: Tensor) -> Tensor:
                of_layer[layer] = values[..., columns]
                return values

            return keep

        layers = sorted({layer for layer, _ in self.neurons})
        with ExitStack() as stack:
            stack.enter_context(undisturbed(self._vit.model))
            stack.enter_context(torch.no_grad())
            stack.enter_context(at_sites(self._vit, {layer: read(layer) for layer in layers}, tokens="all"))
            self._vit.forward(images)
        return torch.cat([of_layer[layer] for layer in layers], -1)

    def _patches(self, values: Tensor) -> tuple[int, ...]:
        if self.grid is None:
            return ()
        positive = at_least_float32(values[-self.grid[0] * self.grid[1] :]).clamp(min=0)
        return tuple((positive / positive.max().clamp(min=1e-12) * _LEVELS).round().int().tolist())

    def _picture(self, batch: ImageBatch, position: int, label: int, key: int) -> Picture:
        number = "" if batch.index is None else f" {int(batch.index[position])}"
        file = f"image{number}" if batch.files is None else batch.files[position]
        image = batch.images[position].detach().float().cpu()
        return Picture(key, file, label, thumbnail(image, self.size, self._colours))

    @staticmethod
    def _admits(kept: Sequence[Ranked], order: tuple[float, int], limit: int) -> bool:
        return len(kept) < limit or (limit > 0 and order > kept[-1].order)

    @staticmethod
    def _keep(lists: dict[Any, list[Ranked]], name: Any, added: Iterable[Ranked], limit: int) -> None:
        entries = {entry.order: entry for entry in [*lists.get(name, []), *added]}
        lists[name] = heapq.nlargest(limit, entries.values())


def _commonest(paths: CategoryPaths, limit: int) -> list[Neuron]:
    """The neurons on most category paths, then of most support, in order of layer and neuron."""
    users: Counter[Neuron] = Counter()
    support: Counter[Neuron] = Counter()
    for path, votes in zip(paths.neurons.tolist(), paths.votes.tolist()):
        for layer, (neurons, weights) in enumerate(zip(path, votes)):
            for neuron, weight in zip(neurons, weights):
                users[layer, neuron] += 1
                support[layer, neuron] += weight
    return sorted(sorted(users, key=lambda neuron: (-users[neuron], -support[neuron], neuron))[:limit])
