"""Edits as functions of a layer's neurons, applied by hooks or directly."""

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
"""A layer and its neurons, (images, tokens, width) -> the edited neurons, of the same shape."""


def edited(vit: OpenViT, edit: Edit, *, tokens: Tokens = "path") -> AbstractContextManager[None]:
    """Apply `edit` to the neurons of every layer in every forward pass inside the `with`.

    Raises:
        EditNotAppliedError: on leaving, if a layer never ran.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import torch
        >>> import nplight
        >>> from nplight.neurons import edited, path_masks, scaling
        >>> vit = nplight.open_vit(planted.model)
        >>> with torch.no_grad(), edited(vit, scaling(path_masks(planted.paths, vit.widths), 0)):
        ...     removed = planted.model(planted.images).argmax(-1)
        ...
        >>> (removed == planted.labels).any().item()
        False
    """
    return at_sites(vit, {layer: partial(edit, layer) for layer in range(vit.depth)}, tokens=tokens)


def scaling(masks: Sequence[Tensor], factor: float, *, shared: bool = False) -> Edit:
    """The edit that multiplies the masked neurons.

    Args:
        masks: per layer (images or 1, width) bool.
        factor: multiplies them.
        shared: whether one mask applies to every image.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import torch
        >>> import nplight
        >>> from nplight.neurons import edited, path_masks, scaling
        >>> vit = nplight.open_vit(planted.model)
        >>> edit = scaling(path_masks(planted.paths, vit.widths), 0.5)
        >>> with torch.no_grad(), edited(vit, edit):
        ...     logits = planted.model(planted.images)
        ...
    """

    def scale(layer: int, neurons: Tensor) -> Tensor:
        # Zeros instead of a product: 0 times an infinite neuron would be NaN.
        return neurons * factor if factor else torch.zeros_like(neurons)

    return _masked(masks, scale, shared)


def replacing(masks: Sequence[Tensor], values: Mapping[int, Tensor], *, shared: bool = False) -> Edit:
    """The edit that writes values over the masked neurons.

    Args:
        masks: per layer (images or 1, width) bool.
        values: layer -> (1 or images, 1 or tokens, width).
        shared: whether one mask applies to every image.

    Examples:
        >>> import torch
        >>> from nplight.neurons import replacing
        >>> edit = replacing([torch.tensor([[True, False]])], {0: torch.full((1, 1, 2), 9.0)})
        >>> edit(0, torch.zeros(1, 1, 2)).tolist()
        [[[9.0, 0.0]]]
    """

    def replace(layer: int, neurons: Tensor) -> Tensor:
        reference = values[layer]
        if any(size not in (1, expected) for size, expected in zip(reference.shape, neurons.shape)):
            raise ArgumentError(
                f"`references` of layer {layer} are for {reference.shape[0]} images of {reference.shape[1]} tokens, "
                f"but the batch has {neurons.shape[0]} of {neurons.shape[1]}; gather them for these images and tokens"
            )
        return reference.to(neurons).expand_as(neurons)

    return _masked(masks, replace, shared)


def first_layers(edit: Edit, layers: int) -> Edit:
    """The edit in the first `layers` layers alone; the neurons of later layers are left as they are.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import nplight
        >>> from nplight.neurons import first_layers, path_masks, scaling
        >>> vit = nplight.open_vit(planted.model)
        >>> edit = first_layers(scaling(path_masks(planted.paths, vit.widths), 0), 2)
    """
    return lambda layer, neurons: edit(layer, neurons) if layer < layers else neurons


def _masked(masks: Sequence[Tensor], change: Edit, shared: bool) -> Edit:
    """The edit that applies `change` to the masked neurons of each layer."""

    def edit(layer: int, neurons: Tensor) -> Tensor:
        mask = masks[layer]
        if not shared and len(mask) != len(neurons):
            raise ArgumentError(
                f"`neurons` hold paths of {len(mask)} images, but the batch has {len(neurons)}; "
                f"give one path per image, or one (layers, K) path for all"
            )
        return torch.where(mask.to(neurons.device).unsqueeze(1), change(layer, neurons), neurons)

    return edit
