"""Modules replaced in a model, or in a copy of it, and linear layers made from parts of others."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


def copied(model: Module, replacements: Mapping[nn.Module, nn.Module]) -> Module:
    """A copy of a model with some of its modules replaced, wherever it holds them."""
    # A deep copy takes what it finds in its memo in place of a copy.
    return copy.deepcopy(model, {id(module): replacement for module, replacement in replacements.items()})


def replace(model: nn.Module, replacements: Mapping[nn.Module, nn.Module]) -> None:
    """Replace modules of a model in place, wherever it holds them."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if child in replacements:
                setattr(module, name, replacements[child])


def linear_like(linear: nn.Linear, weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A linear layer with other weights, in the mode of `linear`; it trains where `linear` does.

    Args:
        linear: the layer; without a bias a new one trains where its weight does.
        weight: (outputs, inputs).
        bias: (outputs,), or `None`.
    """
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    trains = linear.weight.requires_grad
    layer.weight = nn.Parameter(_values(weight), requires_grad=trains)
    if bias is not None:
        trains = trains if linear.bias is None else linear.bias.requires_grad
        layer.bias = nn.Parameter(_values(bias), requires_grad=trains)
    return layer.train(linear.training)


def rows_of(linear: nn.Linear, rows: Tensor) -> nn.Linear:
    """A linear layer with some of the outputs of another: `rows` (K,) int64."""
    rows = rows.to(linear.weight.device)
    bias = None if linear.bias is None else linear.bias[rows]
    return linear_like(linear, linear.weight[rows], bias)


def _values(tensor: Tensor) -> Tensor:
    # Weights that are to train must be no inference tensors.
    with torch.inference_mode(False):
        return tensor.detach().clone()
