"""From the paths of a category's images to one path for the category."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

from nplight.errors import ArgumentError, check_at_least, check_choice
from nplight.paths import CategoryPaths, check_neurons

CategoryMethod = Literal["frequency", "rank-mode", "mean-score"]

CATEGORY_METHODS: Mapping[str, str] = MappingProxyType(
    {
        "frequency": "the neurons on most images' paths; of equal ones the larger summed score; distinct",
        "rank-mode": "for each rank, the neuron most images hold at that rank, as the published program; may repeat",
        "mean-score": "the neurons of largest mean score over the category's images, 0 where not on the path; distinct",
    }
)

# Room for the index of a neuron in a key; no FFN comes near a million neurons.
_NEURON_BITS = 20
_PENDING = 4_000_000


class CategoryVotes:
    """Gathers image paths batch by batch and forms the category paths.

    Only neurons that some image chose are held, each once a category, layer (and rank, for `rank-mode`): the memory is
    bounded by categories x layers x width whatever the number of images, and far smaller in practice.

    Args:
        num_classes: number of categories.
        top_k: neurons a layer of a category path.
        method: one of `CATEGORY_METHODS`.
    """

    def __init__(self, num_classes: int, *, top_k: int = 1, method: str = "frequency") -> None:
        check_at_least("num_classes", num_classes, 1)
        check_at_least("top_k", top_k, 1)
        check_choice("method", method, CATEGORY_METHODS)
        self.num_classes, self.top_k, self.method = num_classes, top_k, method
        self._layers = 0
        self._images = torch.zeros(num_classes, dtype=torch.int64)
        self._keys = torch.empty(0, dtype=torch.int64)
        self._votes = torch.empty(0, dtype=torch.int64)
        self._scores = torch.empty(0, dtype=torch.float64)
        self._pending: list[tuple[Tensor, Tensor]] = []

    def update(self, neurons: Tensor, labels: Tensor, scores: Tensor | None = None) -> None:
        """Add images: neurons (images, layers, K) int64, labels (images,) int64, scores as neurons.

        Raises:
            ArgumentError: wrong shapes, labels outside the categories, `scores` missing where the method needs them.
        """
        self._check(neurons, labels, scores)
        neurons, labels = neurons.cpu(), labels.cpu()
        _, self._layers, ranks = neurons.shape
        cell = labels[:, None] * self._layers + torch.arange(self._layers)
        slot = cell[:, :, None] * self.top_k + (torch.arange(ranks) if self.method == "rank-mode" else 0)
        values = torch.zeros(neurons.shape, dtype=torch.float64) if scores is None else scores.detach().cpu().double()
        self._pending.append(((slot << _NEURON_BITS | neurons).flatten(), values.flatten()))
        self._images += labels.bincount(minlength=self.num_classes)
        if sum(len(keys) for keys, _ in self._pending) > _PENDING:
            self._merge()

    def compute(self) -> CategoryPaths:
        """The category paths of everything added.

        Raises:
            ArgumentError: a category has no images, or fewer distinct neurons than `top_k`.
        """
        self._merge()
        neuron = self._keys & ((1 << _NEURON_BITS) - 1)
        slot = self._keys >> _NEURON_BITS
        primary = self._votes.double()
        if self.method == "mean-score":
            primary = self._scores / self._images[slot // self.top_k // max(1, self._layers)]
        # By slot, then best first, then larger summed score, then lower index: stable sorts, last key first.
        order = torch.arange(len(slot))
        for key in (-self._scores, -primary, slot):
            order = order[key[order].argsort(stable=True)]
        slot, neuron, primary = slot[order], neuron[order], primary[order]
        place = torch.arange(len(slot)) - torch.searchsorted(slot, slot)
        per_slot = 1 if self.method == "rank-mode" else self.top_k
        kept = place < per_slot

        shape = (self.num_classes, self._layers, self.top_k)
        neurons = torch.full(shape, -1).flatten()
        votes = torch.zeros(shape, dtype=torch.float64).flatten()
        at = slot[kept] + place[kept]
        neurons[at], votes[at] = neuron[kept], primary[kept]
        paths = CategoryPaths(neurons.view(shape), votes.view(shape), self._images.clone(), self.method)
        if (paths.neurons < 0).any():
            category, layer, _ = (paths.neurons < 0).nonzero()[0].tolist()
            raise ArgumentError(
                f"`top_k` = {self.top_k} is more than the distinct neurons on the image paths of category {category} "
                f"in layer {layer}; rank at least that many for each image, or lower `top_k`"
            )
        return paths

    def _check(self, neurons: Tensor, labels: Tensor, scores: Tensor | None) -> None:
        layers = self._layers or (neurons.shape[1] if neurons.ndim == 3 else 0)
        check_neurons(neurons, [1 << _NEURON_BITS] * layers)
        if labels.dtype != torch.int64 or labels.shape != neurons.shape[:1] or neurons.ndim != 3:
            raise ArgumentError(
                f"`neurons` must be (images, layers, K) and `labels` (images,) int64, "
                f"got {tuple(neurons.shape)} and {tuple(labels.shape)} {labels.dtype}"
            )
        outside = labels[(labels < 0) | (labels >= self.num_classes)]
        if len(outside):
            raise ArgumentError(f"`labels` must be in 0 … {self.num_classes - 1}, got {outside[0].item()}")
        if self.method == "rank-mode" and neurons.shape[2] != self.top_k:
            raise ArgumentError(
                f"`neurons` must hold top_k = {self.top_k} ranks for method 'rank-mode', got {neurons.shape[2]}"
            )
        if scores is None and self.method == "mean-score":
            raise ArgumentError("`scores` must be given for method 'mean-score', got None")
        if scores is not None and scores.shape != neurons.shape:
            raise ArgumentError(
                f"`scores` must have the shape of `neurons`, {tuple(neurons.shape)}, got {tuple(scores.shape)}"
            )

    def _merge(self) -> None:
        if not self._pending:
            return
        new_keys, new_scores = (torch.cat(parts) for parts in zip(*self._pending))
        self._pending.clear()
        keys = torch.cat([self._keys, new_keys])
        self._keys, inverse = keys.unique(return_inverse=True)
        votes = torch.cat([self._votes, torch.ones_like(new_keys)])
        scores = torch.cat([self._scores, new_scores])
        self._votes = torch.zeros(len(self._keys), dtype=torch.int64).index_add_(0, inverse, votes)
        self._scores = torch.zeros(len(self._keys), dtype=torch.float64).index_add_(0, inverse, scores)


def category_paths(
    neurons: Tensor,
    labels: Tensor,
    *,
    num_classes: int,
    top_k: int = 1,
    method: str = "frequency",
    scores: Tensor | None = None,
) -> CategoryPaths:
    """One path for every category, from the paths of its images.

    Args:
        neurons: (images, layers, K) int64, the path (or the ranking) of each image.
        labels: (images,) int64, the category of each image.
        num_classes: number of categories.
        top_k: neurons a layer of a category path.
        method: `frequency` (most often chosen, ties by summed score, then by lower index), `rank-mode` (for each rank
            the most often chosen neuron, as the published program does; may repeat a neuron) or `mean-score` (largest
            mean score over the category's images, counting 0 where an image did not choose the neuron).
        scores: as `neurons`, the score of each choice; needed by `mean-score`, used for ties by the others.

    Returns:
        The category paths, on the CPU.

    Raises:
        ArgumentError: wrong shapes, labels outside the categories, an empty category, too few distinct neurons.
    """
    votes = CategoryVotes(num_classes, top_k=top_k, method=method)
    votes.update(neurons, labels, scores)
    return votes.compute()
