"""Agreement of two paths of the same image: of two methods, seeds or quadrature rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from nplight.errors import ArgumentError, check_at_least
from nplight.metrics.bootstrap import BootstrapMetric
from nplight.metrics.drawing import Drawing, draw_estimates
from nplight.metrics.frequency import distinct
from nplight.metrics.replicates import Replicates, estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def path_agreement(neurons: Tensor, other: Tensor) -> Tensor:
    """Share of common neurons, |A ∩ B| / min(K, M): 1 if the smaller set is contained in the larger.

    Args:
        neurons: (images, layers, K) int64.
        other: (images, layers, M) int64, other paths of the same images.

    Returns:
        (images, layers) float64 in [0, 1].

    Raises:
        ArgumentError: images or layers differ, or a path has no neurons.

    Examples:
        >>> import torch
        >>> from nplight.metrics import path_agreement
        >>> path_agreement(torch.tensor([[[0, 1], [2, 3]]]), torch.tensor([[[1, 4], [2, 3]]]))
        tensor([[0.5000, 1.0000]], dtype=torch.float64)
    """
    if neurons.ndim != 3 or neurons.shape[:2] != other.shape[:2] or 0 in (neurons.shape[-1], other.shape[-1]):
        raise ArgumentError(
            f"`neurons` and `other` must be (images, layers, K) and (images, layers, M) of the same images and layers, "
            f"K and M >= 1, got {tuple(neurons.shape)} and {tuple(other.shape)}"
        )
    ordered, first = distinct(neurons)
    common = (ordered[..., None] == other[..., None, :]).any(-1) & first
    return common.sum(-1).double() / min(neurons.shape[-1], other.shape[-1])


class Agreement(NamedTuple):
    """Agreement of two paths over images, each value for `estimate`.

    Attributes:
        neurons: share of common neurons, mean over layers and images.
        whole: share of images whose paths agree in every layer.
        layers: share of common neurons per layer: values (layers, 1 + replicates), images (layers,).

    Examples:
        >>> import torch
        >>> from nplight.metrics import PathAgreement, estimate
        >>> metric = PathAgreement(depth=2)
        >>> metric.update(torch.tensor([[[0], [2]]]), torch.tensor([[[0], [3]]]), keys=torch.tensor([0]))
        >>> agreement = metric.compute()
        >>> [estimate(agreement.layers.of(layer)).value for layer in (0, 1)], estimate(agreement.whole).value
        ([1.0, 0.0], 0.0)
    """

    neurons: Replicates
    whole: Replicates
    layers: Replicates


class PathAgreement(BootstrapMetric):
    """Mean `path_agreement` over images, with replicates.

    Args:
        depth: number of layers.
        **kwargs: `replicates`, `seed`, and torchmetrics' own.

    Raises:
        ArgumentError: `depth` below 1.

    Examples:
        >>> import torch
        >>> from nplight.metrics import PathAgreement, estimate
        >>> metric = PathAgreement(depth=2)
        >>> keys = torch.tensor([0])
        >>> metric.update(torch.tensor([[[0], [2]]]), torch.tensor([[[0], [3]]]), keys)
        >>> estimate(metric.compute().neurons).value
        0.5
    """

    def __init__(self, depth: int, **kwargs: Any) -> None:
        check_at_least("depth", depth, 1)
        super().__init__((2 + depth,), **kwargs)

    def update(self, neurons: Tensor, other: Tensor, keys: Tensor) -> None:
        """Add images: two paths, (images, layers, K) and (images, layers, M) int64; keys (images,) int64.

        Raises:
            ArgumentError: as `path_agreement`, or `keys` has another dtype or length.
        """
        layers = path_agreement(neurons, other)
        agree_everywhere = (layers == 1).all(1).double()
        self.add(torch.cat([layers.mean(1, keepdim=True), agree_everywhere[:, None], layers], 1), self.weights(keys))

    def compute(self) -> Agreement:
        """The agreement over all devices; NaN without images."""
        shares = self.means()._replace(interval="fraction")
        whole = shares.of(1)._replace(interval="share")
        return Agreement(shares.of(0), whole, shares.of(slice(2, None)))

    def plot(self, val: Agreement | None = None, ax: Axes | None = None) -> Drawing:
        """Plot the share of common neurons per layer; `val=None`: the result of `compute`; `ax=None`: a new figure."""
        agreement: Agreement = self.compute() if val is None else val
        layers = [estimate(agreement.layers.of(layer)) for layer in range(len(agreement.layers.images))]
        figure, ax = draw_estimates(list(map(str, range(len(layers)))), layers, ax, unit="share of neurons in common")
        ax.set_xlabel("layer")
        return figure, ax
