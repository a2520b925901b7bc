"""What an edit makes of a layer's neurons, apart from how it gets there: through hooks, or from hand to hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial

import torch
from torch import Tensor

from nplight.errors import ArgumentError
from nplight.neurons.sites import Tokens, at_sites
from nplight.vit import OpenViT

Edit = Callable[[int, Tensor], Tensor]
"""A layer and its neurons, (images, tokens, width), to what stands there instead."""


def edited(vit: OpenViT, edit: Edit, *, tokens: Tokens = "path") -> AbstractContextManager[None]:
    """Pass every layer's neurons through `edit` in every forward pass inside.

    Raises:
        EditNotAppliedError: on leaving, when some layer never ran.
    """
    return at_sites(vit, {layer: partial(edit, layer) for layer in range(vit.depth)}, tokens=tokens)


def scaling(masks: Sequence[Tensor], factor: float, *, shared: bool = False) -> Edit:
    """Multiplies the masked neurons, for each layer (images or 1, width) bool; `shared`: one mask for every image."""

    def scale(layer: int, found: Tensor) -> Tensor:
        # Zeros and not a product: an infinite neuron that is removed is gone.
        return found * factor if factor else torch.zeros_like(found)

    return _masked(masks, scale, shared)


def replacing(masks: Sequence[Tensor], values: Mapping[int, Tensor], *, shared: bool = False) -> Edit:
    """Writes values, layer -> (1 or images, 1 or tokens, width), over the masked neurons; masks as of `scaling`."""

    def replace(layer: int, found: Tensor) -> Tensor:
        given = values[layer]
        if any(size not in (1, there) for size, there in zip(given.shape, found.shape)):
            raise ArgumentError(
                f"`references` of layer {layer} are for {given.shape[0]} images of {given.shape[1]} tokens, but the "
                f"batch has {found.shape[0]} of {found.shape[1]}; gather them for the same images and tokens"
            )
        return given.to(found).expand_as(found)

    return _masked(masks, replace, shared)


def _masked(masks: Sequence[Tensor], change: Edit, shared: bool) -> Edit:
    """Give the masked neurons of each layer what `change` makes of the layer's neurons."""

    def edit(layer: int, found: Tensor) -> Tensor:
        mask = masks[layer]
        if not shared and len(mask) != len(found):
            raise ArgumentError(
                f"`neurons` hold paths of {len(mask)} images, but the batch has {len(found)}; "
                f"give one path an image, or one (layers, K) path for all"
            )
        return torch.where(mask.to(found.device).unsqueeze(1), change(layer, found), found)

    return edit
