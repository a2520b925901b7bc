"""Blocks whose module somebody has compiled, compiled in the form in which the engine runs them."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from nplight.vit import BlockParts

_Run = Callable[[Tensor], Tensor]

# By block: what its weights were, and what was compiled of them. Compiling takes seconds, a search may take less.
_known: WeakKeyDictionary[nn.Module, tuple[object, _Run]] = WeakKeyDictionary()


def compiled(block: nn.Module, parts: BlockParts, tokens: slice) -> _Run:
    """A block without edits through `torch.compile`: (rows, all tokens, features) -> (rows, `tokens`, features).

    Args:
        block: the module that the parts are of.
        parts: its parts.
        tokens: which tokens to compute.
    """
    # Parts hold views of the weights, which go stale when the model moves.
    weights = tuple((one.data_ptr(), one.dtype, one.device) for one in block.parameters())
    state = (weights, tokens.start, tokens.stop)
    if block not in _known or _known[block][0] != state:

        def run(stream: Tensor) -> Tensor:
            return parts.feed(parts.attend(stream, tokens))

        _known[block] = state, torch.compile(run, dynamic=True)
    return _known[block][1]
