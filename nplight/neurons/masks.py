"""Masks over a layer's width: the neurons on a path, and those that are pruned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def path_masks(neurons: Tensor, widths: Sequence[int]) -> list[Tensor]:
    """Masks of the neurons on the path.

    Args:
        neurons: (images, layers, K) int64; repeated neurons count once.
        widths: neurons per layer.

    Returns:
        Per layer (images, width) bool.

    Examples:
        >>> import torch
        >>> from nplight.neurons import path_masks
        >>> path_masks(torch.tensor([[[1], [0]]]), (3, 2))
        [tensor([[False,  True, False]]), tensor([[ True, False]])]
    """
    masks = []
    for layer, width in enumerate(widths):
        mask = torch.zeros(len(neurons), width, dtype=torch.bool, device=neurons.device)
        masks.append(mask.scatter_(1, neurons[:, layer], True))
    return masks


def prune_order(path: Sequence[Tensor], priority: Sequence[Tensor]) -> list[Tensor]:
    """The position of every neuron in the order of pruning, the neurons on the path last.

    Args:
        path: per layer (images, width) bool, the neurons on the path.
        priority: per layer (images, width), the smallest are pruned first.

    Returns:
        Per layer (images, width) int64.

    Examples:
        >>> import torch
        >>> from nplight.neurons import prune_order
        >>> path = [torch.tensor([[True, False, False]])]
        >>> priority = [torch.tensor([[0.1, 0.9, 0.5]])]
        >>> prune_order(path, priority)[0].tolist()
        [[2, 1, 0]]
    """
    positions = []
    for mask, values in zip(path, priority):
        order = values.masked_fill(mask, float("inf")).argsort(dim=1, stable=True)
        position = torch.arange(order.shape[1], device=order.device).expand_as(order)
        positions.append(torch.empty_like(order).scatter_(1, order, position))
    return positions


def pruned_masks(path: Sequence[Tensor], fraction: float, order: Sequence[Tensor] | None = None) -> list[Tensor]:
    """Masks of the neurons outside the path that are pruned.

    For the same `order` the masks are nested: the neurons pruned at 10% are also pruned at 30%.

    Args:
        path: per layer (images, width) bool, the neurons on the path.
        fraction: share of the others that is pruned, in [0, 1], rounded to whole neurons.
        order: per layer (images, width) int64, from `prune_order`; not needed for fraction 1.

    Returns:
        Per layer (images, width) bool.

    Examples:
        >>> import torch
        >>> from nplight.neurons import path_masks, pruned_masks
        >>> path = path_masks(torch.tensor([[[1], [0]]]), (3, 2))
        >>> pruned_masks(path, 1.0)
        [tensor([[ True, False,  True]]), tensor([[False,  True]])]
    """
    if order is None:
        if fraction != 1:
            raise ValueError(
                f"`order` must be given for a `fraction` below 1, got {fraction}; take it from prune_order"
            )
        return [~mask for mask in path]
    counts = ((~mask).sum(1, keepdim=True) for mask in path)
    return [positions < (count * fraction + 0.5).floor() for positions, count in zip(order, counts)]


def random_priority(images: int, widths: Sequence[int], generator: torch.Generator | None) -> list[Tensor]:
    """Uniform random priorities, per layer (images, width), in [0, 1).

    Drawn on the CPU, so that a seed gives the same neurons on every device.

    Examples:
        >>> import torch
        >>> from nplight.neurons import random_priority
        >>> [priority.shape for priority in random_priority(2, (3, 4), torch.Generator().manual_seed(0))]
        [torch.Size([2, 3]), torch.Size([2, 4])]
    """
    drawn = torch.rand(images, sum(widths), generator=generator, dtype=torch.float32)
    return list(drawn.split(list(widths), dim=1))
