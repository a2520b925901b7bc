"""`intervene`: remove, enhance or keep neurons in every forward pass inside a `with`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Literal

import torch
from torch import Tensor, nn

from nplight.errors import ArgumentError, check_choice, check_fraction, described
from nplight.neurons.edits import edited, replacing, scaling
from nplight.neurons.fills import Fill, References, check_values, resolve
from nplight.neurons.masks import path_masks, prune_order, pruned_masks, random_priority
from nplight.neurons.sites import TOKENS, Tokens
from nplight.paths import CategoryPaths, PathBatch, check_neurons, one_path_per_image, tokens_of_paths
from nplight.vit import OpenViT, open_vit

Operation = Literal["remove", "enhance", "keep"]

OPERATIONS: tuple[Operation, ...] = ("remove", "enhance", "keep")


def intervene(
    model: nn.Module | OpenViT,
    neurons: Tensor | PathBatch | CategoryPaths,
    operation: Operation,
    *,
    fill: Fill = "zero",
    fraction: float = 1.0,
    generator: torch.Generator | None = None,
    references: References | Mapping[int, Tensor] | None = None,
    tokens: Tokens | None = None,
) -> AbstractContextManager[None]:
    """Edit the neurons of a path in every forward pass inside the `with`.

    `remove` fills the path's neurons (with 0 by default), `enhance` multiplies them by 2; `keep` fills the neurons
    outside the path, all of them or a random `fraction`. Contexts nest, and leave no trace in the model, also after an
    error.

    Args:
        model: a supported model, in any mode.
        neurons: (images, layers, K) int64 or a `PathBatch`, one path per image of the batches of the forward passes; or
            (layers, K), or the `CategoryPaths` of one category, one path for every image. For several categories,
            `category_paths.of(labels)` with the labels of these images.
        operation: `remove`, `enhance` or `keep`.
        fill: the value of a removed or pruned neuron: `zero`; `mean` or `peak`, its mean or most frequent value over a
            set of images; `resample`, its value in another image.
        fraction: share of the other neurons of each layer that `keep` prunes, in [0, 1].
        generator: draws the pruned neurons, on the CPU, if `fraction` is below 1: once for a (layers, K) path, once per
            image otherwise; `None`: torch's global generator.
        references: the values of a fill other than `zero`, from `nplight.references`; or a mapping layer -> (1 or
            images, 1 or tokens, width). For `resample`, `references.of(images)` of the images of the forward passes.
        tokens: `path` edits the path tokens, as the paper does; `all` edits every token; `None`: those at which
            `neurons` were searched, the path tokens for a tensor.

    Returns:
        The context manager.

    Raises:
        UnsupportedModelError: the model cannot be opened.
        ArgumentError: an argument is wrong; or, in a forward pass, the batch differs in its number of images from
            `neurons` or `references`.
        EditNotAppliedError: on leaving the context, if a layer never ran.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import nplight
        >>> import torch
        >>> with torch.no_grad(), nplight.intervene(planted.model, planted.paths, "remove"):
        ...     removed = planted.model(planted.images).argmax(-1)
        ...
        >>> (removed == planted.labels).any().item()  # without its path no decision is right
        False
        >>> with torch.no_grad(), nplight.intervene(planted.model, planted.paths, "keep"):
        ...     kept = planted.model(planted.images).argmax(-1)
        ...
        >>> (kept == planted.labels).all().item()
        True
    """
    vit = open_vit(model)
    tokens = tokens_of_paths(neurons) if tokens is None else tokens
    neurons = one_path_per_image(neurons)
    check_choice("operation", operation, OPERATIONS)
    check_choice("tokens", tokens, TOKENS)
    check_fraction("fraction", fraction)
    if fraction != 1 and operation != "keep":
        raise ArgumentError(f"`fraction` is for operation 'keep' only, got {fraction} with {operation!r}")
    _check_generator(generator)
    values = resolve(fill, references, tokens, vit.widths)
    if values is not None and operation == "enhance":
        raise ArgumentError(f"`fill` is for operations 'remove' and 'keep', got {fill!r} with 'enhance'")
    check_neurons(neurons, vit.widths)

    masks = path_masks(neurons if neurons.ndim == 3 else neurons.unsqueeze(0), vit.widths)
    if operation == "keep":
        order = None
        if fraction < 1:
            drawn = random_priority(len(masks[0]), vit.widths, generator)
            order = prune_order(masks, [layer.to(neurons.device) for layer in drawn])
        masks = pruned_masks(masks, fraction, order)
    shared = neurons.ndim == 2
    if values is not None:
        check_values(values, vit.widths)
        return edited(vit, replacing(masks, values, shared=shared), tokens=tokens)
    return edited(vit, scaling(masks, 2.0 if operation == "enhance" else 0.0, shared=shared), tokens=tokens)


def _check_generator(generator: torch.Generator | None) -> None:
    if generator is not None and (not isinstance(generator, torch.Generator) or generator.device.type != "cpu"):
        got = f"a generator on {generator.device}" if isinstance(generator, torch.Generator) else described(generator)
        raise ArgumentError(f"`generator` must be a torch.Generator on the CPU or None, got {got}")
