"""Hooks on the sites of the neurons: they live inside a `with`, and every one must fire."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from nplight.errors import EditNotAppliedError, check_choice, listed
from nplight.vit import OpenViT

SiteFunction = Callable[[Tensor], Tensor]
"""The neurons at the tokens of a site, (images, tokens, width), to what stands there instead."""

Tokens = Literal["path", "all"]

TOKENS: tuple[Tokens, ...] = ("path", "all")


def tokens_of(vit: OpenViT, tokens: Tokens) -> slice:
    """Where neurons are read and edited: at the model's path tokens (`path`, the paper) or at every token (`all`).

    Raises:
        ArgumentError: `tokens` is neither.
    """
    check_choice("tokens", tokens, TOKENS)
    return vit.path_tokens if tokens == "path" else slice(None)


@contextmanager
def at_sites(vit: OpenViT, functions: Mapping[int, SiteFunction], *, tokens: Tokens = "path") -> Iterator[None]:
    """Pass each layer's neurons at the path tokens, or at all tokens, through a function in every forward inside.

    A function that returns the very tensor it was given only reads. Contexts nest: the inner one sees the outer one's
    values.

    Raises:
        ArgumentError: `tokens` is neither `path` nor `all`.
        EditNotAppliedError: on leaving without an error, when some site never ran.
    """
    where = tokens_of(vit, tokens)
    fired = dict.fromkeys(functions, 0)

    def hook_for(layer: int) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...] | None]:
        def hook(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
            fired[layer] += 1
            values = arguments[0][:, where]
            edited = functions[layer](values)
            if edited is values:
                return None
            return (replace_tokens(arguments[0], where, edited), *arguments[1:])

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
