"""The neural burden: how much more the neurons that remain write than they did in a dense twin.

Wang et al., "Neural Burden" (2024, arXiv 2407.16716), name the effect; their formula is not public. The definition here
is this project's: the load of a neuron is `E|z_i| · ‖W_down[:, i]‖`, and the burden of a pruned model is the mean over
its surviving neurons of load / load in the twin − 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from nplight.errors import ArgumentError, described
from nplight.shrinking.neuron_load import absolute_sums, loads_of
from nplight.vit import OpenViT, open_vit

Twin = nn.Module | OpenViT | Sequence[Tensor]


class Burden(NamedTuple):
    """The burden of a pruned model; 0.1: the surviving neurons write 10% more than in the twin.

    Attributes:
        mean: over all surviving neurons, whose load in the twin is not 0; NaN if there are none.
        by_layer: (layers,) float64, likewise of each layer.

    Examples:
        >>> import torch
        >>> from nplight.pruning import burden
        >>> result = burden([torch.tensor([2.0, 0.0])], [torch.tensor([1.0, 1.0])], [torch.tensor([True, False])])
        >>> result.mean
        1.0
    """

    mean: float
    by_layer: Tensor


def burden(loads: Sequence[Tensor], dense: Sequence[Tensor], kept: Sequence[Tensor]) -> Burden:
    """The burden from the loads of a pruned model and of its dense twin.

    Args:
        loads: per layer (width,), of the pruned model.
        dense: per layer (width,), of the twin.
        kept: per layer (width,) bool, the surviving neurons.

    Examples:
        >>> import torch
        >>> from nplight.pruning import burden
        >>> kept = [torch.tensor([True, True, False])]
        >>> round(burden([torch.tensor([1.2, 1.0, 0.0])], [torch.tensor([1.0, 1.0, 1.0])], kept).mean, 6)
        0.1
    """
    layers = []
    for load, before, survives in zip(loads, dense, kept):
        used = survives & (before > 0)
        layers.append(load[used].double() / before[used].double() - 1)
    return Burden(torch.cat(layers).mean().item(), torch.stack([layer.mean() for layer in layers]))


class NeuralBurden(Metric):
    """The burden of a pruned model over a fixed set of images.

    Args:
        model: the pruned model: under masks, with weights of 0, or smaller.
        twin: the dense model: the one before pruning, or one trained without from the same seed; or its loads, per
            layer (width,), over the same images.
        kept: per layer (width,) bool, the surviving neurons among those of the twin; `None`: those that write anything,
            for a model of the twin's widths.
        **kwargs: of torchmetrics' `Metric`.

    Raises:
        ArgumentError: there is no twin, or it has other layers than the model.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.pruning import NeuralBurden
        >>> planted = build_planted(PLANTED["chain"])
        >>> kept = [torch.arange(256) < 128] * 4
        >>> metric = NeuralBurden(nplight.shrink(planted.model, kept), planted.model, kept=kept)
        >>> metric.update(planted.images)
        >>> metric.compute().by_layer.shape
        torch.Size([4])
    """

    total: Tensor
    count: Tensor
    twin_total: Tensor
    twin_count: Tensor

    def __init__(
        self,
        model: nn.Module | OpenViT,
        twin: Twin | None,
        *,
        kept: Sequence[Tensor] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if twin is None:
            raise ArgumentError(
                "`twin` must be the dense model that the burden is measured against, the one before pruning or one "
                "trained from the same seed, or its loads; got None"
            )
        vit = open_vit(model)
        dense = open_vit(twin) if isinstance(twin, (nn.Module, OpenViT)) else None
        # A plain container: as submodules the models would be moved with the metric, and count as its own.
        self._models = (vit, dense)
        self._loads = None if dense is not None else _loads(twin)
        widths = dense.widths if dense is not None else tuple(len(load) for load in self._loads or ())
        self._kept = _surviving(vit, kept, widths)
        device = vit.down[0].linear.weight.device
        for name, summed, opened in (("total", "count", vit), ("twin_total", "twin_count", dense or vit)):
            zeros = torch.zeros(sum(opened.widths), dtype=torch.float64, device=device)
            self.add_state(name, zeros, dist_reduce_fx="sum")
            self.add_state(summed, torch.zeros((), dtype=torch.int64, device=device), dist_reduce_fx="sum")

    def update(self, images: Tensor) -> None:
        """Add images (images, channels, height, width) on the model's device."""
        vit, dense = self._models
        total, count = absolute_sums(vit, images)
        self.total = self.total + total
        self.count = self.count + count
        if dense is not None:
            total, count = absolute_sums(dense, images)
            self.twin_total = self.twin_total + total
            self.twin_count = self.twin_count + count

    def compute(self) -> Burden:
        """The burden over all images.

        Raises:
            ArgumentError: there were no images.
        """
        vit, dense = self._models
        loads = loads_of(vit, self.total, self.count)
        twin = self._loads if dense is None else loads_of(dense, self.twin_total, self.twin_count)
        small = [len(load) < len(mask) for load, mask in zip(loads, self._kept)]
        if any(small):  # a smaller model has its neurons in the order of the twin
            loads = [
                torch.zeros(len(mask), dtype=torch.float64).masked_scatter(mask, load)
                for load, mask in zip(loads, self._kept)
            ]
        return burden(loads, twin or loads, self._kept)


def _loads(twin: Any) -> list[Tensor]:
    if not isinstance(twin, (list, tuple)) or not all(isinstance(load, Tensor) and load.ndim == 1 for load in twin):
        raise ArgumentError(f"`twin` must be a model, or per layer a tensor of loads (width,), got {described(twin)}")
    return [load.detach().cpu().double() for load in twin]


def _surviving(vit: OpenViT, kept: Sequence[Tensor] | None, widths: Sequence[int]) -> list[Tensor]:
    if len(widths) != vit.depth:
        raise ArgumentError(f"`twin` must have the {vit.depth} layers of the model, got {len(widths)}")
    if kept is None and tuple(widths) != vit.widths:
        raise ArgumentError(
            f"`twin` must have the widths of the model, {list(vit.widths)}, got {list(widths)}; for a smaller model "
            f"give `kept`, its neurons among those of the twin"
        )
    if kept is None:
        return [(down.linear.weight.detach() != 0).any(0).cpu() for down in vit.down]
    masks = [mask.cpu() for mask in kept]
    fits = [
        mask.dtype == torch.bool and len(mask) == width and own in (width, int(mask.sum()))
        for mask, width, own in zip(masks, widths, vit.widths)
    ]
    if len(masks) != vit.depth or not all(fits):
        raise ArgumentError(
            f"`kept` must be one bool tensor (width,) per layer for widths {list(widths)}, with as many neurons as the "
            f"model has, got {described(kept)}"
        )
    return masks
