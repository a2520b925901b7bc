"""Hooks on the sites of the neurons: they live inside a `with`, and every one must fire."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from nplight.errors import EditNotAppliedError, listed
from nplight.vit import OpenViT

SiteFunction = Callable[[Tensor], Tensor]
"""The neurons at the path tokens, (images, path tokens, width), to what stands there instead."""


@contextmanager
def at_sites(vit: OpenViT, functions: Mapping[int, SiteFunction]) -> Iterator[None]:
    """Pass each layer's neurons at the path tokens through a function in every forward inside.

    A function that returns the very tensor it was given only reads. Contexts nest: the inner one sees the outer one's
    values.

    Raises:
        EditNotAppliedError: on leaving without an error, when some site never ran.
    """
    fired = dict.fromkeys(functions, 0)

    def hook_for(layer: int) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...] | None]:
        def hook(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
            fired[layer] += 1
            values = arguments[0][:, vit.path_tokens]
            edited = functions[layer](values)
            if edited is values:
                return None
            return (replace_tokens(arguments[0], vit.path_tokens, edited), *arguments[1:])

        return hook

    handles = []
    try:
        for layer in functions:
            handles.append(vit.down[layer].linear.register_forward_pre_hook(hook_for(layer)))
        yield
        silent = [layer for layer, count in fired.items() if count == 0]
        if silent:
            raise EditNotAppliedError(
                f"the neurons of layers {listed(silent)} were to be edited or recorded, but these layers never ran; "
                f"run the opened model inside the `with`"
            )
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def overwrite(vit: OpenViT, values: Mapping[int, Tensor]) -> Iterator[None]:
    """Write `values[layer]`, (images, path tokens, width), over the neurons of each layer in every forward inside."""

    def write(layer: int) -> SiteFunction:
        # Under autocast the stream is of a lower precision than the values.
        return lambda found: values[layer].to(found.dtype)

    with at_sites(vit, {layer: write(layer) for layer in values}):
        yield


def replace_tokens(stream: Tensor, tokens: slice, values: Tensor) -> Tensor:
    """`stream` (images, tokens, …) with `values` in the rows of `tokens`; the inputs stay as they are."""
    start, stop, _ = tokens.indices(stream.shape[1])
    return torch.cat([stream[:, :start], values, stream[:, stop:]], dim=1)
