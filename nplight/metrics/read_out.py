"""Read-out: how well a category is told from a path alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from scipy import sparse
from torch import Tensor

from nplight.errors import check_at_least
from nplight.metrics.frequency import NeuronFrequency


class PathReadOut:
    """Naive Bayes over the neurons of paths: the K neurons of a layer are K independent draws given the category.

    The probability of a neuron is smoothed: (images of the category with it + 1) / (K · images of the category +
    width). For K = 1 it is scikit-learn's `CategoricalNB`. Holds the counts of neurons that were on a path, sparse.

    Args:
        num_classes: number of categories.
        widths: neurons in each layer.

    Raises:
        ArgumentError: `num_classes` is below 1.

    Examples:
        >>> import torch
        >>> from nplight.metrics import PathReadOut
        >>> read_out = PathReadOut(2, (4, 4))
    """

    def __init__(self, num_classes: int, widths: Sequence[int]) -> None:
        check_at_least("num_classes", num_classes, 1)
        self.num_classes, self.widths = num_classes, tuple(widths)
        self._frequency = NeuronFrequency(num_classes, len(widths), max(widths), sync_on_compute=False)
        self._top_k = 1
        self._fitted: tuple[sparse.csr_array, Tensor] | None = None

    def update(self, neurons: Tensor, categories: Tensor) -> None:
        """Fit to paths: neurons (images, layers, K) int64, categories (images,) int64.

        Raises:
            ArgumentError: a shape is wrong, or neurons or categories are out of range.
        """
        self._top_k = neurons.shape[2]
        self._frequency.update(neurons, categories)
        self._fitted = None

    def guess(self, neurons: Tensor) -> Tensor:
        """The most probable category of each path: neurons (images, layers, K) int64 -> (images,) int64.

        Of equally probable categories the lowest. Categories without a path are never guessed.
        """
        if self._fitted is None:
            self._fitted = self._fit()
        gains, base = self._fitted
        images, layers, top_k = neurons.shape
        column = neurons + torch.arange(layers)[:, None] * max(self.widths)
        row = torch.arange(images).repeat_interleave(layers * top_k)
        ones = torch.ones(column.numel(), dtype=torch.float64)
        on_path = sparse.csr_array((ones.numpy(), (row.numpy(), column.flatten().numpy())), (images, gains.shape[0]))
        return (torch.from_numpy((on_path @ gains).toarray()) + base).argmax(1)

    def _fit(self) -> tuple[sparse.csr_array, Tensor]:
        """Per neuron and category what the neuron adds to the log-probability, and the log-probability without any."""
        counts, images = self._frequency.compute()
        category, layer, neuron = counts.indices()
        feature = layer * max(self.widths) + neuron
        shape = (len(self.widths) * max(self.widths), self.num_classes)
        gains = sparse.csr_array((counts.values().double().log1p().numpy(), (feature.numpy(), category.numpy())), shape)
        known = images.double()
        base = (known / known.sum()).log()
        for width in self.widths:
            base = base - self._top_k * (self._top_k * known + width).log()
        return gains, base.masked_fill(images == 0, -math.inf)
