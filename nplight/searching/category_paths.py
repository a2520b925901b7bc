"""One path per category, from the paths of its images."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

from nplight.errors import ArgumentError, check_at_least, check_choice, check_dense
from nplight.path_checks import TOKENS, Tokens
from nplight.paths import CategoryPaths, PathBatch, check_labels, check_neurons, tokens_of_paths
from nplight.searching.neuron_counts import PENDING, merged, neuron_keys

CategoryMethod = Literal["frequency", "rank-mode", "mean-score"]

CATEGORY_METHODS: Mapping[str, str] = MappingProxyType(
    {
        "frequency": "the neurons on most images' paths; ties by the larger summed score; distinct",
        "rank-mode": "per rank, the neuron most images have at that rank, as in the published program; may repeat",
        "mean-score": "the neurons of largest mean score over the category's images, 0 where not on the path; distinct",
    }
)

# Limits of the parts of a key: no FFN has a million neurons, and no data set a million categories.
_MAX_WIDTH = 1 << 20
_MAX_CLASSES = 1 << 20
# Of all category paths together: 34 GB of indices, more than 21,843 categories of 32 x 5,120 neurons.
_MAX_NEURONS = 1 << 32


class CategoryVotes:
    """Collects image paths batch by batch and forms the category paths.

    Holds one entry per neuron on an image's path, category and layer (and rank, for `rank-mode`): the memory is bounded
    by categories x layers x width for any number of images, and far smaller in practice.

    Args:
        num_classes: number of categories.
        top_k: neurons per layer of a category path.
        method: one of `CATEGORY_METHODS`.
        first: the number of the category whose label is 0, for messages.
        tokens: at which the paths were searched, `path` or `all`.

    Examples:
        >>> import torch
        >>> from nplight.searching import CategoryVotes
        >>> votes = CategoryVotes(num_classes=2)
        >>> votes.update(torch.tensor([[[0], [2]], [[0], [3]]]), torch.tensor([0, 0]))  # batch by batch
        >>> votes.update(torch.tensor([[[0], [3]], [[1], [1]]]), torch.tensor([0, 1]))
        >>> votes.compute().neurons.tolist()
        [[[0], [3]], [[1], [1]]]
    """

    def __init__(
        self,
        num_classes: int,
        *,
        top_k: int = 1,
        method: str = "frequency",
        first: int = 0,
        tokens: Tokens = "path",
    ) -> None:
        check_num_classes(num_classes)
        check_at_least("top_k", top_k, 1)
        check_choice("method", method, CATEGORY_METHODS)
        check_choice("tokens", tokens, TOKENS)
        self.num_classes, self.top_k, self.method = num_classes, top_k, method
        self.first, self.tokens = first, tokens
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
        keys = neuron_keys(labels, neurons, _MAX_WIDTH, torch.arange(ranks) if self._by_rank else None)
        values = torch.zeros(neurons.shape, dtype=torch.float64) if scores is None else scores.detach().cpu().double()
        self._pending.append((keys.flatten(), values.flatten()))
        self._images += labels.bincount(minlength=self.num_classes)
        if sum(len(keys) for keys, _ in self._pending) > PENDING:
            self._merge()

    def __len__(self) -> int:
        """The number of entries, 24 bytes each, but for those of the last few million neurons added."""
        return len(self._keys)

    def forget_from(self, category: int) -> None:
        """Drop a category, and those after it, as if none of their images had been added, nor were to be."""
        self._merge()
        slots_per_category = max(1, self._layers) * (self.top_k if self._by_rank else 1)
        kept = self._keys // _MAX_WIDTH // slots_per_category < category
        self._keys, self._votes, self._scores = (part[kept] for part in (self._keys, self._votes, self._scores))
        self.num_classes, self._images = category, self._images[:category]

    def compute(self) -> CategoryPaths:
        """The category paths of all images added.

        Raises:
            ArgumentError: a category has no images, or fewer distinct neurons than `top_k`.
        """
        self._merge()
        # A slot is a category's layer, or one rank of it: the unit for which neurons are chosen.
        neuron, slot = self._keys % _MAX_WIDTH, self._keys // _MAX_WIDTH
        per_slot = 1 if self._by_rank else self.top_k
        primary = self._votes.double()
        if self.method == "mean-score":
            primary = self._scores / self._images[slot // max(1, self._layers)]
        # By slot, best first, larger summed score, lower index: stable sorts, the last key first.
        order = torch.arange(len(slot))
        for key in (-self._scores, -primary, slot):
            order = order[key[order].argsort(stable=True)]
        slot, neuron, primary = slot[order], neuron[order], primary[order]
        rank = torch.arange(len(slot)) - torch.searchsorted(slot, slot)
        chosen = rank < per_slot

        shape = (self.num_classes, self._layers, self.top_k)
        neurons = torch.full(shape, -1).flatten()
        votes = torch.zeros(shape, dtype=torch.float64).flatten()
        position = slot[chosen] * per_slot + rank[chosen]
        neurons[position], votes[position] = neuron[chosen], primary[chosen]
        paths = CategoryPaths(neurons.view(shape), votes.view(shape), self._images.clone(), self.method, self.tokens)
        if (paths.neurons < 0).any():
            category, layer, _ = (paths.neurons < 0).nonzero()[0].tolist()
            raise ArgumentError(
                f"`top_k` = {self.top_k} is more than the distinct neurons on the image paths of category "
                f"{self.first + category} "
                f"in layer {layer}; rank at least that many for each image, or lower `top_k`"
            )
        return paths

    @property
    def _by_rank(self) -> bool:
        """Whether each rank is voted on separately."""
        return self.method == "rank-mode"

    def _check(self, neurons: Tensor, labels: Tensor, scores: Tensor | None) -> None:
        layers = self._layers or (neurons.shape[1] if isinstance(neurons, Tensor) and neurons.ndim == 3 else 0)
        check_neurons(neurons, [_MAX_WIDTH] * layers)
        if neurons.ndim != 3:
            raise ArgumentError(f"`neurons` must be (images, layers, K), got {tuple(neurons.shape)}")
        check_labels(labels, len(neurons), self.num_classes)
        if self.num_classes * layers * self.top_k > _MAX_NEURONS:
            raise ArgumentError(
                f"`num_classes` x layers x `top_k` must be at most {_MAX_NEURONS}, "
                f"got {self.num_classes} x {layers} x {self.top_k}; lower one of them"
            )
        if self._by_rank and neurons.shape[2] != self.top_k:
            raise ArgumentError(
                f"`neurons` must hold top_k = {self.top_k} ranks for method 'rank-mode', got {neurons.shape[2]}"
            )
        if scores is None and self.method == "mean-score":
            raise ArgumentError("`scores` must be given for method 'mean-score', got None")
        if scores is not None:
            _check_scores(scores, neurons)

    def _merge(self) -> None:
        if not self._pending:
            return
        new_keys, new_scores = (torch.cat(parts) for parts in zip(*self._pending))
        self._pending.clear()
        self._keys, self._votes, self._scores = merged(
            torch.cat([self._keys, new_keys]),
            torch.cat([self._votes, torch.ones_like(new_keys)]),
            torch.cat([self._scores, new_scores]),
        )


def category_paths(
    neurons: Tensor | PathBatch | CategoryPaths,
    labels: Tensor,
    *,
    num_classes: int,
    top_k: int = 1,
    method: str = "frequency",
    scores: Tensor | None = None,
) -> CategoryPaths:
    """One path per category, from the paths of its images.

    Args:
        neurons: (images, layers, K) int64 or a `PathBatch`, the path (or the ranking) of each image; or
            `CategoryPaths`, to form paths of groups of categories.
        labels: (images,) int64, the category of each image (the group of each category).
        num_classes: number of categories.
        top_k: neurons per layer of a category path.
        method: `frequency` (most often chosen, ties by summed score, then by lower index), `rank-mode` (per rank the
            most often chosen neuron, as in the published program; may repeat a neuron) or `mean-score` (largest mean
            score over the category's images, 0 for an image without the neuron).
        scores: as `neurons`, their scores; required by `mean-score`, used for ties by the others. `None`: for
            `mean-score` the `neuron_scores` of a `PathBatch`.

    Returns:
        The category paths, on the CPU.

    Raises:
        ArgumentError: wrong shapes, labels outside the categories, an empty category, too few distinct neurons.

    Examples:
        >>> import torch
        >>> import nplight
        >>> rankings = torch.tensor([[[0], [3]], [[0], [4]], [[1], [4]]])  # (3 images, 2 layers, 1 neuron)
        >>> nplight.category_paths(rankings, torch.tensor([0, 0, 0]), num_classes=1).neurons.tolist()
        [[[0], [4]]]
    """
    votes = CategoryVotes(num_classes, top_k=top_k, method=method, tokens=tokens_of_paths(neurons))
    if isinstance(neurons, PathBatch) and scores is None and method == "mean-score":
        scores = neurons.neuron_scores
    votes.update(neurons.neurons if isinstance(neurons, (PathBatch, CategoryPaths)) else neurons, labels, scores)
    return votes.compute()


def check_num_classes(num_classes: int) -> None:
    """Refuse an impossible number of categories.

    Raises:
        ArgumentError: not an integer, below 1, or more than any data set has.
    """
    check_at_least("num_classes", num_classes, 1)
    if num_classes > _MAX_CLASSES:
        raise ArgumentError(f"`num_classes` must be at most {_MAX_CLASSES}, got {num_classes}; count the categories")


def _check_scores(scores: Tensor, neurons: Tensor) -> None:
    if isinstance(scores, Tensor):
        check_dense("scores", scores)
    if not isinstance(scores, Tensor) or scores.shape != neurons.shape:
        got = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ArgumentError(f"`scores` must have the shape of `neurons`, {tuple(neurons.shape)}, got {got}")
    not_finite = (~scores.isfinite()).nonzero().tolist()
    if not_finite:
        position = tuple(not_finite[0])
        raise ArgumentError(
            f"`scores` must be finite, got {scores[position].item()} for image {position[0]}; leave such images out"
        )
