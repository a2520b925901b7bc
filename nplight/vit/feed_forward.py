"""The modules of an FFN, by which it can be made smaller."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class FeedForward:
    """The linear layers and the norm of one FFN.

    Attributes:
        up: the linear layers from the normed stream; a neuron is computed from one row per group of each of them.
        down: the down projection, whose input the neurons are.
        groups: groups of rows in each of `up`: 2 where gate and value are packed into one layer.
        norm: the norm over the neurons before the down projection, or `None`.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.planted import PLANTED, build_planted
        >>> layers = nplight.open_vit(build_planted(PLANTED["chain"]).model).feed_forward(0)
        >>> len(layers.up), layers.rows(torch.tensor([3, 5])).tolist()
        (1, [3, 5])
    """

    up: tuple[nn.Linear, ...]
    down: nn.Linear
    groups: int = 1
    norm: nn.Module | None = None

    def rows(self, neurons: Tensor) -> Tensor:
        """The rows of each layer of `up` from which neurons (K,) are computed, (groups x K,)."""
        if isinstance(self.norm, KeptNorm):
            neurons = self.norm.kept[neurons.to(self.norm.kept.device)]
        width = self.up[0].out_features // self.groups
        return torch.cat([neurons + group * width for group in range(self.groups)])


class KeptNorm(nn.Module):
    """A norm over all neurons of an FFN that returns some of them.

    The norm of a neuron depends on the neurons beside it, so that all of them are still computed.

    Args:
        norm: over the last axis.
        kept: (K,) int64, which entries of its output are returned.

    Examples:
        >>> import torch
        >>> from nplight.vit import KeptNorm
        >>> norm = KeptNorm(torch.nn.LayerNorm(4), torch.tensor([0, 2]))
        >>> norm(torch.randn(1, 4)).shape
        torch.Size([1, 2])
    """

    kept: Tensor

    def __init__(self, norm: nn.Module, kept: Tensor) -> None:
        super().__init__()
        self.norm = norm
        self.register_buffer("kept", kept.clone())

    def forward(self, neurons: Tensor) -> Tensor:
        """(…, all neurons) -> (…, K)."""
        normed: Tensor = self.norm(neurons)
        return normed.index_select(-1, self.kept)
