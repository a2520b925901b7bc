"""Hooks on the sites of the neurons, which exist only inside a `with` and must all fire."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from nplight.errors import EditNotAppliedError, check_choice, listed
from nplight.path_checks import TOKENS, Tokens
from nplight.vit import OpenViT, SiteHook, Uncompiled, one_thread

__all__ = ["TOKENS", "SiteFunction", "Tokens", "at_sites", "overwrite", "replace_tokens", "tokens_of"]

SiteFunction = Callable[[Tensor], Tensor]
"""The neurons at the tokens of a site, (images, tokens, width) -> their replacement, of the same shape."""


def tokens_of(vit: OpenViT, tokens: Tokens) -> slice:
    """The tokens at which neurons are read and edited: the model's path tokens (`path`, the paper) or all (`all`).

    Raises:
        ArgumentError: `tokens` is neither.

    Examples:
        >>> import nplight
        >>> from nplight.neurons import tokens_of
        >>> from nplight.planted import PLANTED, build_planted
        >>> vit = nplight.open_vit(build_planted(PLANTED["chain"]).model)
        >>> tokens_of(vit, "path"), tokens_of(vit, "all")
        (slice(0, 1, None), slice(None, None, None))
    """
    check_choice("tokens", tokens, TOKENS)
    return vit.path_tokens if tokens == "path" else slice(None)


@contextmanager
def at_sites(vit: OpenViT, functions: Mapping[int, SiteFunction], *, tokens: Tokens = "path") -> Iterator[None]:
    """Apply a function per layer to its neurons at the path tokens, or all tokens, in every forward pass inside.

    A function that returns its argument, the same tensor, only reads. Contexts nest: the inner one sees the values of
    the outer one. A context acts in the thread that opened it, as torch's own contexts do. Compiled models run
    uncompiled inside, since compiled code does not see new hooks.

    Raises:
        ArgumentError: `tokens` is neither `path` nor `all`.
        EditNotAppliedError: on leaving without an error, if a site never ran.

    Examples:
        >>> import nplight
        >>> from nplight.neurons import at_sites
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> shapes = []
        >>> def read(neurons):
        ...     shapes.append(tuple(neurons.shape))  # (images, path tokens, width)
        ...     return neurons
        ...
        >>> with at_sites(nplight.open_vit(planted.model), {2: read}):
        ...     logits = planted.model(planted.images)
        ...
        >>> shapes
        [(16, 1, 256)]
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
        # Torch's numbering of hooks is not thread-safe.
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
            # Ctrl-C may have interrupted the first call; removing a second time does nothing.
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
    """Write `values[layer]`, (images, path tokens, width), over each layer's neurons in every forward pass inside.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.neurons import overwrite
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> clean = planted.model(planted.images)
        >>> with overwrite(nplight.open_vit(planted.model), {3: torch.zeros(16, 1, 256)}):  # layer 3 silent
        ...     silent = planted.model(planted.images)
        ...
        >>> torch.allclose(silent, clean), torch.equal(planted.model(planted.images), clean)
        (False, True)
    """

    def write(layer: int) -> SiteFunction:
        # Under autocast the stream has a lower precision than the values.
        return lambda neurons: values[layer].to(neurons.dtype)

    with at_sites(vit, {layer: write(layer) for layer in values}):
        yield


def replace_tokens(stream: Tensor, tokens: slice, values: Tensor) -> Tensor:
    """`stream`, (images, tokens, …), with `values` at `tokens`; a new tensor.

    Examples:
        >>> import torch
        >>> from nplight.neurons import replace_tokens
        >>> replace_tokens(torch.zeros(1, 3, 1), slice(0, 1), torch.ones(1, 1, 1)).flatten().tolist()
        [1.0, 0.0, 0.0]
    """
    start, stop, _ = tokens.indices(stream.shape[1])
    return torch.cat([stream[:, :start], values, stream[:, stop:]], dim=1)
