"""Which neurons an operation touches, as masks over a layer's width."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def path_masks(neurons: Tensor, widths: Sequence[int]) -> list[Tensor]:
    """Masks of the neurons on the path.

    Args:
        neurons: (images, layers, K) int64; a neuron that stands twice counts once.
        widths: neurons in each layer.

    Returns:
        For each layer (images, width) bool.
    """
    masks = []
    for layer, width in enumerate(widths):
        mask = torch.zeros(len(neurons), width, dtype=torch.bool, device=neurons.device)
        masks.append(mask.scatter_(1, neurons[:, layer], True))
    return masks


def prune_order(path: Sequence[Tensor], priority: Sequence[Tensor]) -> list[Tensor]:
    """The place of every neuron in the order in which they are pruned, those on the path last.

    Args:
        path: for each layer (images, width) bool, the neurons on the path.
        priority: for each layer (images, width), the smallest are pruned first.

    Returns:
        For each layer (images, width) int64.
    """
    places = []
    for mask, values in zip(path, priority):
        order = values.masked_fill(mask, float("inf")).argsort(dim=1, stable=True)
        place = torch.arange(order.shape[1], device=order.device).expand_as(order)
        places.append(torch.empty_like(order).scatter_(1, order, place))
    return places


def pruned_masks(path: Sequence[Tensor], fraction: float, order: Sequence[Tensor] | None = None) -> list[Tensor]:
    """Masks of the neurons outside the path that are pruned.

    For one `order` the sets are nested: what 10% prunes, 30% prunes too.

    Args:
        path: for each layer (images, width) bool, the neurons on the path.
        fraction: share of the others that is pruned, in [0, 1], rounded to whole neurons.
        order: for each layer (images, width) int64, from `prune_order`; not needed for all of them.

    Returns:
        For each layer (images, width) bool.
    """
    if order is None:
        if fraction != 1:
            raise ValueError("a fraction below 1 needs an order")
        return [~mask for mask in path]
    others = ((~mask).sum(1, keepdim=True) for mask in path)
    return [places < (count * fraction + 0.5).floor() for places, count in zip(order, others)]


def random_priority(images: int, widths: Sequence[int], generator: torch.Generator | None) -> list[Tensor]:
    """Uniform random priorities, for each layer (images, width), in [0, 1), on the CPU.

    On the CPU so that a seed means the same neurons on every device.
    """
    drawn = torch.rand(images, sum(widths), generator=generator, dtype=torch.float32)
    return list(drawn.split(list(widths), dim=1))
