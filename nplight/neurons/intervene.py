"""Remove, enhance or keep neurons in every forward pass inside a `with`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Literal

import torch
from torch import Tensor, nn

from nplight.errors import ArgumentError, check_choice, check_fraction
from nplight.neurons.fills import Fill, References, check_values, resolve
from nplight.neurons.masks import path_masks, pruned_masks, random_priority
from nplight.neurons.sites import TOKENS, SiteFunction, Tokens, at_sites
from nplight.paths import check_neurons
from nplight.vit import OpenViT, open_vit

Operation = Literal["remove", "enhance", "keep"]

OPERATIONS: tuple[Operation, ...] = ("remove", "enhance", "keep")


def intervene(
    model: nn.Module | OpenViT,
    neurons: Tensor,
    operation: Operation,
    *,
    fill: Fill = "zero",
    fraction: float = 1.0,
    generator: torch.Generator | None = None,
    references: References | Mapping[int, Tensor] | None = None,
    tokens: Tokens = "path",
) -> AbstractContextManager[None]:
    """Edit the neurons of a path in every forward pass inside the `with`.

    `remove` fills the path's neurons (with 0, if nothing else is said), `enhance` multiplies them by 2; `keep` fills
    the neurons outside the path, all of them or a random `fraction`. Contexts nest, and the model has no trace of them
    afterwards, also after an error.

    Args:
        model: a supported model, in whatever mode.
        neurons: (images, layers, K) int64, a path for each image of the batches that will pass, or (layers, K), one
            path for every image.
        operation: `remove`, `enhance` or `keep`.
        fill: what stands in a removed or pruned neuron: `zero`; `mean` or `peak`, its mean or most frequent value over
            some images; `resample`, its value in another image.
        fraction: share of the other neurons of each layer that `keep` prunes, in [0, 1].
        generator: draws which, on the CPU, when `fraction` is below 1: once for a (layers, K) path, once for each
            image otherwise; `None` draws from torch's global state.
        references: the values of a fill other than `zero`, from `nplight.references`; or any of your own, layer ->
            (1 or images, 1 or tokens, width). For `resample`, `references.of(images)` of the images that will pass.
        tokens: `path` edits the path tokens, as the paper does; `all` every token.

    Returns:
        The context manager.

    Raises:
        UnsupportedModelError: the model cannot be opened.
        ArgumentError: an argument is wrong; or, in a forward pass, the batch is not of as many images as `neurons` or
            `references`.
        EditNotAppliedError: on leaving the context, when some layer never ran.
    """
    vit = open_vit(model)
    check_choice("operation", operation, OPERATIONS)
    check_choice("tokens", tokens, TOKENS)
    check_fraction("fraction", fraction)
    if fraction != 1 and operation != "keep":
        raise ArgumentError(f"`fraction` is for operation 'keep' alone, got {fraction} with {operation!r}")
    values = resolve(fill, references, tokens, vit.widths)
    if values is not None and operation == "enhance":
        raise ArgumentError(f"`fill` is for operations 'remove' and 'keep', got {fill!r} with 'enhance'")
    check_neurons(neurons, vit.widths)

    masks = path_masks(neurons if neurons.ndim == 3 else neurons.unsqueeze(0), vit.widths)
    if operation == "keep":
        priority = None
        if fraction < 1:
            drawn = random_priority(len(masks[0]), vit.widths, generator)
            priority = [layer.to(neurons.device) for layer in drawn]
        masks = pruned_masks(masks, fraction, priority)
    shared = neurons.ndim == 2
    if values is not None:
        return replaced_neurons(vit, masks, values, shared=shared, tokens=tokens)
    return scaled_neurons(vit, masks, 2.0 if operation == "enhance" else 0.0, shared=shared, tokens=tokens)


def scaled_neurons(
    vit: OpenViT, masks: Sequence[Tensor], factor: float, *, shared: bool = False, tokens: Tokens = "path"
) -> AbstractContextManager[None]:
    """Multiply the masked neurons by `factor` in every forward pass inside.

    Args:
        vit: the opened model.
        masks: for each layer (images or 1, width) bool.
        factor: 0 removes, 2 enhances.
        shared: one mask for every image of a batch.
        tokens: `path` or `all`.

    Raises:
        ArgumentError: in a forward pass, when the batch is not of as many images as the masks.
        EditNotAppliedError: on leaving, when some layer never ran.
    """

    def scale(layer: int, found: Tensor) -> Tensor:
        # Zeros and not a product: an infinite neuron that is removed is gone.
        return found * factor if factor else torch.zeros_like(found)

    return _edited(vit, masks, scale, shared, tokens)


def replaced_neurons(
    vit: OpenViT,
    masks: Sequence[Tensor],
    values: Mapping[int, Tensor],
    *,
    shared: bool = False,
    tokens: Tokens = "path",
) -> AbstractContextManager[None]:
    """Write `values` over the masked neurons in every forward pass inside.

    Args:
        vit: the opened model.
        masks: for each layer (images or 1, width) bool.
        values: layer -> (1 or images, 1 or tokens, width), as `References.of` gives them.
        shared: one mask for every image of a batch.
        tokens: `path` or `all`.

    Raises:
        ArgumentError: the values lack a layer or have another width; in a forward pass, when the batch is not of as
            many images as the masks, or of as many images or tokens as the values.
        EditNotAppliedError: on leaving, when some layer never ran.
    """
    check_values(values, vit.widths)

    def replace(layer: int, found: Tensor) -> Tensor:
        given = values[layer]
        if any(size not in (1, there) for size, there in zip(given.shape, found.shape)):
            raise ArgumentError(
                f"`references` of layer {layer} are for {given.shape[0]} images of {given.shape[1]} tokens, but the "
                f"batch has {found.shape[0]} of {found.shape[1]}; gather them for the same images and tokens"
            )
        return given.to(found).expand_as(found)

    return _edited(vit, masks, replace, shared, tokens)


def _edited(
    vit: OpenViT, masks: Sequence[Tensor], change: Callable[[int, Tensor], Tensor], shared: bool, tokens: Tokens
) -> AbstractContextManager[None]:
    """Give the masked neurons of each layer what `change` makes of the layer's neurons."""

    def edit_of(layer: int, mask: Tensor) -> SiteFunction:
        def edit(found: Tensor) -> Tensor:
            if not shared and len(mask) != len(found):
                raise ArgumentError(
                    f"`neurons` hold paths of {len(mask)} images, but the batch has {len(found)}; "
                    f"give one path an image, or one (layers, K) path for all"
                )
            return torch.where(mask.to(found.device).unsqueeze(1), change(layer, found), found)

        return edit

    return at_sites(vit, {layer: edit_of(layer, mask) for layer, mask in enumerate(masks)}, tokens=tokens)
