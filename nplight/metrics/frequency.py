"""How often the images of a category have a neuron on their path."""

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
    """How many images of each category have each neuron on their path.

    Attributes:
        counts: (categories, layers, neurons) int64, sparse COO, coalesced.
        images: (categories,) int64, images of each category; `counts` over it is the frequency.
    """

    counts: Tensor
    images: Tensor


def neuron_frequency(neurons: Tensor, labels: Tensor, *, num_classes: int, width: int) -> NeuronCounts:
    """Count the neurons on the paths of each category's images.

    Args:
        neurons: (images, layers, K) int64; a neuron that stands twice in an image's layer counts once.
        labels: (images,) int64, the category of each image.
        num_classes: number of categories.
        width: neurons in a layer, the most of any if layers differ.

    Raises:
        ArgumentError: wrong shapes, neurons or labels out of range.
    """
    depth = neurons.shape[1] if neurons.ndim == 3 else 0
    keys, counts = _keys(neurons, labels, num_classes, depth, width).unique(return_counts=True)
    return _named(keys, counts, labels.bincount(minlength=num_classes), depth, width)


class NeuronFrequency(Metric):
    """`neuron_frequency` gathered batch by batch, exact on any number of devices.

    Only neurons on some path are held, each once a category: the memory is bounded by categories x layers x neurons
    whatever the number of images, and far smaller in practice.

    Args:
        num_classes: number of categories.
        depth: number of layers.
        width: neurons in a layer, the most of any if layers differ.
        **kwargs: torchmetrics' own.

    Raises:
        ArgumentError: an argument below 1.
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
            ArgumentError: wrong shapes, neurons or labels out of range.
        """
        keys = _keys(neurons, labels, self.num_classes, self.depth, self.width)
        self.keys.append(keys)
        self.counts.append(torch.ones_like(keys))
        self.images += labels.bincount(minlength=self.num_classes)
        # Merging sorts all there is, so wait until there is as much again.
        if sum(map(len, self.keys[1:])) > max(PENDING, len(self.keys[0])):
            self._compact()

    def compute(self) -> NeuronCounts:
        """The counts over all devices; every device must call it."""
        keys, counts = merged(dim_zero_cat(self.keys), dim_zero_cat(self.counts))
        return _named(keys, counts, self.images, self.depth, self.width)

    def plot(self, val: NeuronCounts | None = None, ax: Axes | None = None, *, category: int | None = None) -> Drawing:
        """Draw the share of images with a neuron on their path, layers x neurons, as a heat map (%).

        Args:
            val: counts; `None`: what `compute` gives.
            ax: where; `None`: a new figure.
            category: whose images; `None`: those of all categories.
        """
        found: NeuronCounts = self.compute() if val is None else val
        images = found.images.reshape(-1)
        if category is None:
            counts, total = torch.sparse.sum(found.counts, 0), images.sum()
        else:
            counts, total = found.counts.select(0, category), images[category]
        share = 100 * counts.to_dense().double() / total
        return draw_matrix(share, ax, rows="layer", columns="neuron", unit="images, %")

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """As in torchmetrics, which calls it before every `compute`; each neuron goes over the wire once."""
        self._compact()
        super().sync(*args, **kwargs)

    def _compact(self) -> None:
        # Never an empty list: for that torchmetrics would send a float tensor among integers.
        none = self.images[:0]
        keys, counts = merged(torch.cat([none, *self.keys]), torch.cat([none, *self.counts]))
        self.keys, self.counts = [keys], [counts]


def overlaps(counts: Tensor) -> Tensor:
    """Neurons that the images of two categories share, summed over layers and all pairs of images (c, d).

    Args:
        counts: of `NeuronCounts`.

    Returns:
        (categories, categories) float64: Σ over layers l and neurons i of n[c, l, i] n[d, l, i]. On the diagonal
        every image is also paired with itself.
    """
    categories, depth, _ = counts.shape
    total = torch.zeros(categories, categories, dtype=torch.float64, device=counts.device)
    # Dense, but one layer at a time.
    for layer in range(depth):
        one = counts.select(1, layer).to_dense().double()
        total += one @ one.T
    return total


def distinct(neurons: Tensor) -> tuple[Tensor, Tensor]:
    """Neurons in order, and whether each is the first of its kind: (…, K) -> (…, K) int64, (…, K) bool."""
    ordered = neurons.sort(-1).values
    return ordered, ordered.diff(dim=-1, prepend=ordered[..., :1] - 1) > 0


def _keys(neurons: Tensor, labels: Tensor, num_classes: int, depth: int, width: int) -> Tensor:
    """One number for each (category, layer, neuron) on an image's path."""
    if len(neurons):
        check_neurons(neurons, [width] * depth, images=len(labels))
    check_labels(labels, len(neurons), num_classes)
    ordered, first = distinct(neurons)
    return neuron_keys(labels, ordered, width)[first]


def _named(keys: Tensor, counts: Tensor, images: Tensor, depth: int, width: int) -> NeuronCounts:
    shape = (len(images), depth, width)
    places = torch.stack(torch.unravel_index(keys, shape))
    # Some versions of torch warn unless told; the keys are in range by construction.
    with torch.sparse.check_sparse_tensor_invariants(False):
        return NeuronCounts(torch.sparse_coo_tensor(places, counts, shape, is_coalesced=True), images)
