"""`edit_model`: an edit of neurons that stays in the weights."""

from __future__ import annotations

import sys

import torch
from torch import nn

from nplight.errors import ArgumentError, described
from nplight.shrinking.layer_neurons import Neurons, layer_neurons
from nplight.shrinking.replaced import copied, linear_like
from nplight.vit import OpenViT, open_vit


@torch.inference_mode(False)
def edit_model(model: nn.Module | OpenViT, neurons: Neurons, scale: float) -> nn.Module:
    """A copy of a model in which neurons are multiplied by a factor at every token.

    The factor is written into the columns of the down projections, so that the copy equals the original whose neurons a
    hook multiplies, but for rounding. Any model that `open_vit` opens can be edited.

    Args:
        model: a supported model, in any mode; left unchanged.
        neurons: as for `shrink`, of at least one layer; paths that were not searched at all tokens are refused.
        scale: the factor: 0 removes the neurons, 2 enhances them.

    Returns:
        The copy, of the same shape.

    Raises:
        UnsupportedModelError: the model cannot be opened.
        ArgumentError: the neurons are not those of the model, the paths were not searched at all tokens, or `scale` is
            no finite number.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import nplight
        >>> without = nplight.edit_model(planted.model, planted.truth[0], 0)  # the path of category 0 removed for good
        >>> zeros = planted.labels == 0
        >>> (without(planted.images).argmax(-1)[zeros] == 0).any().item()
        False
    """
    vit = open_vit(model)
    number = isinstance(scale, (int, float)) and not isinstance(scale, bool)
    if not number or not abs(scale) <= sys.float_info.max:
        raise ArgumentError(f"`scale` must be a finite number, such as 0 for a removal, got {described(scale)}")
    replacements: dict[nn.Module, nn.Module] = {}
    for down, chosen in zip(vit.down, layer_neurons(vit, neurons, every_layer=False)):
        weight = down.linear.weight.detach().clone()
        weight[:, chosen.to(weight.device)] *= float(scale)
        replacements[down.linear] = linear_like(down.linear, weight, down.linear.bias)
    return copied(vit.model, replacements)
