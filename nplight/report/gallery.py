"""Pictures for the report, gathered batch by batch: a few images of each category, and what drives each neuron."""

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
from nplight.seeds import checksums
from nplight.vit import OpenViT, undisturbed

Neuron = tuple[int, int]

_LEVELS = 99


@dataclass(frozen=True, slots=True)
class Picture:
    """An image to show.

    Attributes:
        key: the checksum of its pixels.
        file: its file or name.
        label: its category.
        source: a thumbnail as a data URI.
    """

    key: int
    file: str
    label: int
    source: str


@dataclass(order=True, frozen=True, slots=True)
class Ranked:
    """A picture in a list of the best: the larger `order`, the better.

    Attributes:
        order: what it is ranked by, equal for no two images.
        picture: the picture.
        facts: of a sample its clean, removed and enhanced probability; of a driver the neuron's value.
        patches: the neuron's value at each patch, row by row, in 0 … 99 of the largest; empty for a sample.
    """

    order: tuple[float, int]
    picture: Picture = field(compare=False)
    facts: tuple[float, ...] = field(compare=False)
    patches: tuple[int, ...] = field(compare=False, default=())


class Gallery:
    """A bounded number of pictures of any number of images; the same whatever the batches and processes.

    Samples are those of a category whose pixels have the lowest checksums. A neuron's drivers are the images in which
    its value, averaged over the path tokens, is largest.

    Args:
        vit: the opened model.
        paths: the category paths that are removed and enhanced; their neurons are those whose drivers are kept.
        per_category: samples of a category.
        per_neuron: drivers of a neuron.
        most_neurons: neurons with drivers: those on most category paths, then those of most votes.
        size: the longer edge of a thumbnail, pixels; smaller images stay as they are.
        mean: of each channel, to undo the normalisation; `None` stretches each image to the full range.
        std: of each channel.
    """

    def __init__(
        self,
        vit: OpenViT,
        paths: CategoryPaths,
        *,
        per_category: int = 4,
        per_neuron: int = 4,
        most_neurons: int = 240,
        size: int = 64,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        self.per_category, self.per_neuron, self.size = per_category, per_neuron, size
        self.neurons = _commonest(paths, most_neurons)
        self.grid: tuple[int, int] | None = None
        self.samples: dict[int, list[Ranked]] = {}
        self.drivers: dict[Neuron, list[Ranked]] = {one: [] for one in self.neurons}
        self._vit, self._paths = vit, paths
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
            self._drive(batch, batch.labels.tolist(), keys)

    def merge(
        self, grid: tuple[int, int] | None, samples: dict[int, list[Ranked]], drivers: dict[Neuron, list[Ranked]]
    ) -> None:
        """Add what another process has gathered."""
        self.grid = self.grid or grid
        for label, found in samples.items():
            self._keep(self.samples, label, found, self.per_category)
        for neuron, found in drivers.items():
            self._keep(self.drivers, neuron, found, self.per_neuron)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a file: pictures once each; samples and drivers name them by their place."""
        lists = [*self.samples.values(), *self.drivers.values()]
        pictures = list({one.picture.key: one.picture for found in lists for one in found}.values())
        place = {picture.key: number for number, picture in enumerate(pictures)}
        return {
            "grid": self.grid,
            "pictures": [{"file": one.file, "label": one.label, "source": one.source} for one in pictures],
            "samples": {
                str(label): [[place[one.picture.key], *one.facts] for one in found]
                for label, found in sorted(self.samples.items())
            },
            "drivers": [
                {
                    "layer": layer,
                    "neuron": neuron,
                    "images": [[place[one.picture.key], *one.facts, list(one.patches)] for one in found],
                }
                for (layer, neuron), found in self.drivers.items()
            ],
        }

    def _sample(self, batch: ImageBatch, targets: Tensor, keys: Sequence[int]) -> None:
        orders = [(-float(key), key) for key in keys]
        labels = targets.tolist()
        chosen = [
            place
            for place, (order, label) in enumerate(zip(orders, labels))
            if self._admits(self.samples.get(label, []), order, self.per_category)
        ]
        if not chosen:
            return
        positions = torch.tensor(chosen, device=targets.device)
        targets = targets[positions]
        conditions = all_conditions(self._paths.top_k, (), ())
        paths = {"": {self._paths.top_k: self._paths}}
        probabilities = predictions(self._vit, batch.select(positions).images, targets, conditions, paths)[""]
        shown = torch.stack([condition.gather(1, targets[:, None])[:, 0] for condition in probabilities], 1).tolist()
        for place, values in zip(chosen, shown):
            picture = self._picture(batch, place, labels[place], keys[place])
            new = Ranked(orders[place], picture, tuple(round(value, 5) for value in values))
            self._keep(self.samples, labels[place], [new], self.per_category)

    def _drive(self, batch: ImageBatch, labels: Sequence[int], keys: Sequence[int]) -> None:
        values = self._values(batch.images)
        driving = at_least_float32(values[:, self._vit.path_tokens]).mean(1)
        self.grid = patch_grid(values.shape[1], *batch.images.shape[-2:])
        best = driving.topk(min(self.per_neuron, len(driving)), dim=0)
        candidates = zip(self.neurons, best.values.T.tolist(), best.indices.T.tolist())
        for column, (neuron, amounts, places) in enumerate(candidates):
            for amount, place in zip(amounts, places):
                order = (amount, -keys[place])
                if math.isfinite(amount) and self._admits(self.drivers[neuron], order, self.per_neuron):
                    patches = self._patches(values[place, :, column])
                    picture = self._picture(batch, place, labels[place], keys[place])
                    new = Ranked(order, picture, (float(f"{amount:.4g}"),), patches)
                    self._keep(self.drivers, neuron, [new], self.per_neuron)

    def _values(self, images: Tensor) -> Tensor:
        """The chosen neurons at every token: (images, tokens, neurons)."""
        found: dict[int, Tensor] = {}

        def read(layer: int) -> Any:
            columns = torch.tensor([neuron for own, neuron in self.neurons if own == layer], device=images.device)

            def keep(values: Tensor) -> Tensor:
                found[layer] = values[..., columns]
                return values

            return keep

        layers = sorted({layer for layer, _ in self.neurons})
        with ExitStack() as stack:
            stack.enter_context(undisturbed(self._vit.model))
            stack.enter_context(torch.no_grad())
            stack.enter_context(at_sites(self._vit, {layer: read(layer) for layer in layers}, tokens="all"))
            self._vit.forward(images)
        return torch.cat([found[layer] for layer in layers], -1)

    def _patches(self, values: Tensor) -> tuple[int, ...]:
        if self.grid is None:
            return ()
        own = at_least_float32(values[-self.grid[0] * self.grid[1] :]).clamp(min=0)
        return tuple((own / own.max().clamp(min=1e-12) * _LEVELS).round().int().tolist())

    def _picture(self, batch: ImageBatch, place: int, label: int, key: int) -> Picture:
        number = "" if batch.index is None else f" {int(batch.index[place])}"
        file = f"image{number}" if batch.files is None else batch.files[place]
        image = batch.images[place].detach().float().cpu()
        return Picture(key, file, label, thumbnail(image, self.size, self._colours))

    @staticmethod
    def _admits(kept: Sequence[Ranked], order: tuple[float, int], most: int) -> bool:
        return len(kept) < most or (most > 0 and order > kept[-1].order)

    @staticmethod
    def _keep(lists: dict[Any, list[Ranked]], name: Any, found: Iterable[Ranked], most: int) -> None:
        known = {one.order: one for one in [*lists.get(name, []), *found]}
        lists[name] = heapq.nlargest(most, known.values())


def _commonest(paths: CategoryPaths, most: int) -> list[Neuron]:
    """The neurons on most category paths, then of most votes; in order of layer and neuron."""
    users: Counter[Neuron] = Counter()
    votes: Counter[Neuron] = Counter()
    for own, chosen in zip(paths.neurons.tolist(), paths.votes.tolist()):
        for layer, (neurons, weights) in enumerate(zip(own, chosen)):
            for neuron, weight in zip(neurons, weights):
                users[layer, neuron] += 1
                votes[layer, neuron] += weight
    return sorted(sorted(users, key=lambda one: (-users[one], -votes[one], one))[:most])
