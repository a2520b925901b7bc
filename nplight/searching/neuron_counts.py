"""Counting the neurons of many paths: one key per (category, layer, neuron), and sums per key."""

from __future__ import annotations

import torch
from torch import Tensor

PENDING = 2_000_000
"""Keys that are collected before equal ones are merged, since merging sorts all keys."""


def neuron_keys(labels: Tensor, neurons: Tensor, width: int, ranks: Tensor | None = None) -> Tensor:
    """One key per neuron of a path, equal for the same neuron of the same category and layer.

    Args:
        labels: (images,) int64, the category of each image.
        neurons: (images, layers, K) int64, below `width`.
        width: neurons per layer; the largest, if layers differ.
        ranks: (K,) int64, 0 … K - 1, to count each rank separately; `None`: ranks are counted together.

    Returns:
        (images, layers, K) int64: ((category · layers + layer) · ranks + rank) · width + neuron.
    """
    layers = neurons.shape[1]
    slots = (labels[:, None] * layers + torch.arange(layers, device=labels.device))[:, :, None]
    if ranks is not None:
        slots = slots * len(ranks) + ranks
    return slots * width + neurons


def merged(keys: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """The distinct keys in ascending order, and the sums of their values: (n,) each -> (distinct,) each."""
    distinct, position = keys.unique(return_inverse=True)
    sums = (value.new_zeros(len(distinct)).index_add_(0, position, value) for value in values)
    return distinct, *sums
