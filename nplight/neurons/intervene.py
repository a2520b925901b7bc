"""Remove, enhance or keep neurons in every forward pass inside a `with`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from nplight.errors import ArgumentError, check_choice, check_fraction
from nplight.neurons.masks import path_masks, pruned_masks, random_priority
from nplight.neurons.sites import SiteFunction, at_sites
from nplight.paths import check_neurons
from nplight.vit import OpenViT, open_vit

Operation = Literal["remove", "enhance", "keep"]
Fill = Literal["zero"]

OPERATIONS: tuple[Operation, ...] = ("remove", "enhance", "keep")
FILLS: tuple[Fill, ...] = ("zero",)


def intervene(
    model: nn.Module | OpenViT,
    neurons: Tensor,
    operation: Operation,
    *,
    fill: Fill = "zero",
    fraction: float = 1.0,
    generator: torch.Generator | None = None,
) -> AbstractContextManager[None]:
    """Edit the neurons of a path, at the path tokens, in every forward pass inside the `with`.

    `remove` multiplies the path's neurons by 0, `enhance` by 2; `keep` prunes the neurons outside the path, all of
    them or a random `fraction`. Contexts nest, and the model has no trace of them afterwards, also after an error.

    Args:
        model: a supported model, in whatever mode.
        neurons: (images, layers, K) int64, a path for each image of the batches that will pass, or (layers, K), one
            path for every image.
        operation: `remove`, `enhance` or `keep`.
        fill: what a pruned neuron is replaced by, for `keep`.
        fraction: share of the other neurons of each layer that `keep` prunes, in [0, 1].
        generator: draws which, on the CPU, when `fraction` is below 1: once for a (layers, K) path, once for each
            image otherwise; `None` draws from torch's global state.

    Returns:
        The context manager.

    Raises:
        UnsupportedModelError: the model cannot be opened.
        ArgumentError: an argument is wrong; or, in a forward pass, the batch is not of as many images as `neurons`.
        EditNotAppliedError: on leaving the context, when some layer never ran.
    """
    vit = open_vit(model)
    check_choice("operation", operation, OPERATIONS)
    check_choice("fill", fill, FILLS)
    check_fraction("fraction", fraction)
    if fraction != 1 and operation != "keep":
        raise ArgumentError(f"`fraction` is for operation 'keep' alone, got {fraction} with {operation!r}")
    check_neurons(neurons, vit.widths)

    masks = path_masks(neurons if neurons.ndim == 3 else neurons.unsqueeze(0), vit.widths)
    if operation == "keep":
        priority = None
        if fraction < 1:
            drawn = random_priority(len(masks[0]), vit.widths, generator)
            priority = [values.to(neurons.device) for values in drawn]
        masks = pruned_masks(masks, fraction, priority)
    return scaled_neurons(vit, masks, 2.0 if operation == "enhance" else 0.0, shared=neurons.ndim == 2)


@contextmanager
def scaled_neurons(vit: OpenViT, masks: Sequence[Tensor], factor: float, *, shared: bool = False) -> Iterator[None]:
    """Multiply the masked neurons at the path tokens by `factor` in every forward pass inside.

    Args:
        vit: the opened model.
        masks: for each layer (images or 1, width) bool.
        factor: 0 removes, 2 enhances.
        shared: one mask for every image of a batch.

    Raises:
        ArgumentError: in a forward pass, when the batch is not of as many images as the masks.
        EditNotAppliedError: on leaving, when some layer never ran.
    """

    def scale(mask: Tensor) -> SiteFunction:
        def edit(found: Tensor) -> Tensor:
            if not shared and len(mask) != len(found):
                raise ArgumentError(
                    f"`neurons` hold paths of {len(mask)} images, but the batch has {len(found)}; "
                    f"give one path an image, or one (layers, K) path for all"
                )
            chosen = mask.to(found.device).unsqueeze(1)
            # `where` and not a product: an infinite neuron that is removed is gone.
            return torch.where(chosen, found * factor if factor else torch.zeros_like(found), found)

        return edit

    with at_sites(vit, {layer: scale(mask) for layer, mask in enumerate(masks)}):
        yield
