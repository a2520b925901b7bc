"""Activations that may be run neither token by token nor at a part of the tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ByPosition(nn.GELU):
    """A slope per token."""

    def forward(self, input: Tensor) -> Tensor:
        slopes = 1 + torch.arange(input.shape[1], dtype=input.dtype, device=input.device)
        return super().forward(input) * slopes.unsqueeze(-1)


class Mixing(nn.Module):
    """Adds the mean over the tokens."""

    def forward(self, values: Tensor) -> Tensor:
        return values.relu() + values.mean(1, keepdim=True)


def slopes_by_token(tokens: int) -> nn.PReLU:
    """torch's own, whose slopes belong to dimension 1: that of the tokens."""
    activation = nn.PReLU(tokens)
    with torch.no_grad():
        activation.weight.copy_(torch.linspace(-1, 1, tokens))
    return activation.double()
