"""Frequency of neurons on the paths of each category's images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from nplight.errors import check_at_least
from nplight.metrics.drawing import Drawing, draw_matrix
from nplight.paths import check_labels, check_neurons
from nplight.searching.neuron_counts import PENDING, merged, neuron_keys

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class NeuronCounts(NamedTuple):
    """Number of images per category with each neuron on their path.

    Attributes:
        counts: (categories, layers, neurons) int64, sparse COO, coalesced.
        images: (categories,) int64, number of images per category; `counts` divided by it is the frequency.

    Examples:
        >>> import torch
        >>> from nplight.metrics import neuron_frequency
        >>> neurons, labels = torch.tensor([[[0], [2]], [[0], [3]], [[1], [3]]]), torch.tensor([0, 0, 1])
        >>> counts = neuron_frequency(neurons, labels, num_classes=2, width=4)
        >>> counts.images.tolist()
        [2, 1]
    """

    counts: Tensor
    images: Tensor


def neuron_frequency(neurons: Tensor, labels: Tensor, *, num_classes: int, width: int) -> NeuronCounts:
    """Count the neurons on the paths of each category's images.

    Args:
        neurons: (images, layers, K) int64; a neuron that occurs twice in a layer of an image counts once.
        labels: (images,) int64, the category of each image.
        num_classes: number of categories.
        width: neurons per layer; of the widest layer if layers differ.

    Raises:
        ArgumentError: a shape is wrong, or neurons or labels are out of range.

    Examples:
        >>> import torch
        >>> from nplight.metrics import neuron_frequency
        >>> neurons = torch.tensor([[[0], [2]], [[0], [3]]])  # (images, layers, K)
        >>> counts = neuron_frequency(neurons, torch.tensor([0, 0]), num_classes=1, width=4)
        >>> counts.images.tolist(), counts.counts.to_dense()[0].tolist()
        ([2], [[2, 0, 0, 0], [0, 0, 1, 1]])
    """
    depth = neurons.shape[1] if neurons.ndim == 3 else 0
    keys, counts = _keys(neurons, labels, num_classes, depth, width).unique(return_counts=True)
    return _as_counts(keys, counts, labels.bincount(minlength=num_classes), depth, width)


class NeuronFrequency(Metric):
    """`neuron_frequency` accumulated over batches, exact on any number of devices.

    Only neurons on a path are held, once per category: memory is bounded by categories x layers x neurons independently
    of the number of images, and far smaller in practice.

    Args:
        num_classes: number of categories.
        depth: number of layers.
        width: neurons per layer; of the widest layer if layers differ.
        **kwargs: of torchmetrics' `Metric`.

    Raises:
        ArgumentError: an argument is below 1.

    Examples:
        >>> import torch
        >>> from nplight.metrics import NeuronFrequency
        >>> metric = NeuronFrequency(num_classes=1, depth=2, width=4)
        >>> metric.update(torch.tensor([[[0], [2]], [[0], [3]]]), torch.tensor([0, 0]))
        >>> metric.compute().counts.to_dense()[0].tolist()
        [[2, 0, 0, 0], [0, 0, 1, 1]]
    """

    full_state_update = False
    higher_is_better = None
    is_differentiable = False
    keys: list[Tensor]
    counts: list[Tensor]
    images: Tensor

    def __init__(self, num_classes: int, depth: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, value in (("num_classes", num_classes), ("depth", depth), ("width", width)):
            check_at_least(name, value, 1)
        self.num_classes, self.depth, self.width = num_classes, depth, width
        self.add_state("keys", [], dist_reduce_fx="cat")
        self.add_state("counts", [], dist_reduce_fx="cat")
        self.add_state("images", torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, neurons: Tensor, labels: Tensor) -> None:
        """Add images: neurons (images, layers, K) int64, labels (images,) int64.

        Raises:
            ArgumentError: a shape is wrong, or neurons or labels are out of range.
        """
        keys = _keys(neurons, labels, self.num_classes, self.depth, self.width)
        self.keys.append(keys)
        self.counts.append(torch.ones_like(keys))
        self.images += labels.bincount(minlength=self.num_classes)
        # Merging sorts all keys, so wait until their number has doubled.
        if sum(map(len, self.keys[1:])) > max(PENDING, len(self.keys[0])):
            self._compact()

    def compute(self) -> NeuronCounts:
        """The counts over all devices; all devices must call it."""
        keys, counts = merged(dim_zero_cat(self.keys), dim_zero_cat(self.counts))
        return _as_counts(keys, counts, self.images, self.depth, self.width)

    def plot(self, val: NeuronCounts | None = None, ax: Axes | None = None, *, category: int | None = None) -> Drawing:
        """Plot the share of images with a neuron on their path, layers x neurons, as a heat map (%).

        Args:
            val: counts; `None`: the result of `compute`.
            ax: the axes; `None`: a new figure.
            category: whose images; `None`: the images of all categories.
        """
        frequency: NeuronCounts = self.compute() if val is None else val
        images = frequency.images.reshape(-1)
        if category is None:
            counts, total = torch.sparse.sum(frequency.counts, 0), images.sum()
        else:
            counts, total = frequency.counts.select(0, category), images[category]
        share = 100 * counts.to_dense().double() / total
        return draw_matrix(share, ax, rows="layer", columns="neuron", unit="images, %")

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """As in torchmetrics, which calls it before each `compute`; each neuron is transferred once."""
        self._compact()
        super().sync(*args, **kwargs)

    def _compact(self) -> None:
        # Never an empty list, for which torchmetrics would send a float tensor among integers.
        none = self.images[:0]
        keys, counts = merged(torch.cat([none, *self.keys]), torch.cat([none, *self.counts]))
        self.keys, self.counts = [keys], [counts]


def overlaps(counts: Tensor) -> Tensor:
    """Number of neurons shared by the images of two categories, summed over layers and all pairs of images.

    Args:
        counts: from `NeuronCounts`.

    Returns:
        (categories, categories) float64: Σ over layers l and neurons i of n[c, l, i] n[d, l, i]. On the diagonal
        each image is also paired with itself.
    """
    categories, depth, _ = counts.shape
    total = torch.zeros(categories, categories, dtype=torch.float64, device=counts.device)
    # Dense, one layer at a time.
    for layer in range(depth):
        layer_counts = counts.select(1, layer).to_dense().double()
        total += layer_counts @ layer_counts.T
    return total


def distinct(neurons: Tensor) -> tuple[Tensor, Tensor]:
    """Neurons in ascending order, and whether each is its first occurrence: (…, K) -> (…, K) int64, (…, K) bool."""
    ordered = neurons.sort(-1).values
    return ordered, ordered.diff(dim=-1, prepend=ordered[..., :1] - 1) > 0


def _keys(neurons: Tensor, labels: Tensor, num_classes: int, depth: int, width: int) -> Tensor:
    """One key per (category, layer, neuron) on an image's path."""
    if len(neurons):
        check_neurons(neurons, [width] * depth, images=len(labels))
    check_labels(labels, len(neurons), num_classes)
    ordered, first = distinct(neurons)
    return neuron_keys(labels, ordered, width)[first]


def _as_counts(keys: Tensor, counts: Tensor, images: Tensor, depth: int, width: int) -> NeuronCounts:
    shape = (len(images), depth, width)
    indices = torch.stack(torch.unravel_index(keys, shape))
    # Some versions of torch warn without an explicit choice; the keys are in range by construction.
    with torch.sparse.check_sparse_tensor_invariants(False):
        return NeuronCounts(torch.sparse_coo_tensor(indices, counts, shape, is_coalesced=True), images)
