"""Compiled blocks for the engine: a block compiled by the user is compiled again in the form the engine runs."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from nplight.vit import BlockParts

_Run = Callable[[Tensor], Tensor]

# By block: the state of its weights, and the function compiled from them. Compiling may take longer than a search.
_cache: WeakKeyDictionary[nn.Module, tuple[object, _Run]] = WeakKeyDictionary()


def compiled(block: nn.Module, parts: BlockParts, tokens: slice) -> _Run:
    """An unedited block through `torch.compile`: (rows, all tokens, features) -> (rows, `tokens`, features).

    Args:
        block: the module of the block.
        parts: the parts of the block.
        tokens: the tokens to compute.
    """
    # Parts hold views of the weights, which are stale after the model was moved.
    weights = tuple((weight.data_ptr(), weight.dtype, weight.device) for weight in block.parameters())
    state = (weights, tokens.start, tokens.stop)
    if block not in _cache or _cache[block][0] != state:

        def run(stream: Tensor) -> Tensor:
            return parts.feed(parts.attend(stream, tokens))

        _cache[block] = state, torch.compile(run, dynamic=True)
    return _cache[block][1]
