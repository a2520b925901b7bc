"""The load of neurons: how much each writes to the residual stream on average."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nplight.errors import ArgumentError, listed
from nplight.neurons import at_sites
from nplight.processes import values_of_processes
from nplight.vit import OpenViT, named_dtypes, open_vit, undisturbed


class NeuronLoad:
    """The load of every neuron over images, `E|z_i| · ‖W_down[:, i]‖`, with the layer scale if there is one.

    The mean is over all images and tokens, from float64 sums. With several processes each takes its share of the images
    and calls `compute`, which gives the load over all of them. The definition is this project's.

    Args:
        model: a supported model, in any mode.
    """

    def __init__(self, model: nn.Module | OpenViT) -> None:
        self.vit = open_vit(model)
        device = self.vit.down[0].linear.weight.device
        self._total = torch.zeros(sum(self.vit.widths), dtype=torch.float64, device=device)
        self._count = torch.zeros((), dtype=torch.int64, device=device)

    def update(self, images: Tensor) -> None:
        """Add images (images, channels, height, width) on the model's device."""
        total, count = absolute_sums(self.vit, images)
        self._total += total
        self._count += count

    def compute(self) -> list[Tensor]:
        """Per layer (width,) float64, on the CPU.

        Raises:
            ArgumentError: there were no images, or the neurons were not finite.
        """
        return loads_of(self.vit, values_of_processes(self._total).sum(0), values_of_processes(self._count).sum())


def neuron_loads(model: nn.Module | OpenViT, batches: Iterable[Tensor]) -> list[Tensor]:
    """The load of every neuron over batches of images, as `NeuronLoad`: per layer (width,)."""
    load = NeuronLoad(model)
    for images in batches:
        load.update(images)
    return load.compute()


def absolute_sums(vit: OpenViT, images: Tensor) -> tuple[Tensor, int]:
    """The sum of |z| of every neuron over images and tokens, (neurons,) float64, and the number of summands."""
    vit.check_images(images)
    parts: list[Tensor] = []

    def read(neurons: Tensor) -> Tensor:
        parts.append(neurons.abs().sum((0, 1), dtype=torch.float64))
        return neurons

    with (
        undisturbed(vit.model),
        torch.no_grad(),
        named_dtypes(vit.model),
        at_sites(vit, dict.fromkeys(range(vit.depth), read), tokens="all"),
    ):
        stream = vit.embed(images)
        vit.forward_from(0, stream)
    return torch.cat(parts), stream.shape[0] * stream.shape[1]


def loads_of(vit: OpenViT, total: Tensor, count: Tensor) -> list[Tensor]:
    """The loads, per layer (width,) float64 on the CPU, from `absolute_sums` of all images.

    Raises:
        ArgumentError: there were no images, or the neurons were not finite.
    """
    if not count:
        raise ArgumentError("`batches` must hold at least one image, got none")
    loads = []
    for down, mean in zip(vit.down, (total / count).split(vit.widths)):
        weight = down.linear.weight.detach().double()
        written = weight if down.scale is None else weight * down.scale.detach().double()[:, None]
        loads.append((mean * written.norm(dim=0)).cpu())
    not_finite = [layer for layer, load in enumerate(loads) if not load.isfinite().all()]
    if not_finite:
        raise ArgumentError(
            f"`batches` must give finite neurons, got NaN or infinite ones in layers {listed(not_finite)}"
        )
    return loads
