"""Hooks on the sites of the neurons: they live inside a `with`, and every one must fire."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from nplight.errors import EditNotAppliedError, check_choice, listed
from nplight.vit import OpenViT, SiteHook, Uncompiled, one_thread

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
    values. A context acts in the thread that opened it, as torch's own do, and what was compiled runs as it was
    written: compiled code does not see new hooks.

    Raises:
        ArgumentError: `tokens` is neither `path` nor `all`.
        EditNotAppliedError: on leaving without an error, when some site never ran.
    """
    where = tokens_of(vit, tokens)

    def hook_for(layer: int) -> SiteHook:
        def change(stream: Tensor) -> Tensor | None:
            values = stream[:, where]
            edited = functions[layer](values)
            return None if edited is values else replace_tokens(stream, where, edited)

        return SiteHook(change, threading.get_ident())

    hooks = {layer: hook_for(layer) for layer in functions}
    handles: list[RemovableHandle | Uncompiled] = []
    try:
        # Torch numbers hooks without regard for threads.
        with one_thread():
            handles.append(Uncompiled())
            for layer, hook in hooks.items():
                handles.append(vit.down[layer].linear.register_forward_pre_hook(hook))
        yield
        _check_fired(hooks)
    finally:
        try:
            _remove(handles)
        finally:
            # Ctrl-C may have come on the way there; to remove twice is to remove once.
            _remove(handles)


def _remove(handles: Sequence[RemovableHandle | Uncompiled]) -> None:
    with one_thread():
        for handle in handles:
            handle.remove()


def _check_fired(hooks: Mapping[int, SiteHook]) -> None:
    silent = [layer for layer, hook in hooks.items() if not hook.fired]
    if silent:
        elsewhere = any(hooks[layer].elsewhere for layer in silent)
        raise EditNotAppliedError(
            f"the neurons of layers {listed(silent)} were to be edited or recorded, but these layers never ran"
            + (
                " here: the model ran in another thread, on which the `with` has no effect; open it in the thread that "
                "runs the model"
                if elsewhere
                else "; run the opened model inside the `with`"
            )
        )


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
