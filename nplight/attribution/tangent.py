"""One block with its directional derivative, by forward-mode AD."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from nplight.vit import OpenViT, changed, one_thread


@functools.cache
def _load_rules() -> None:
    """Make a first dual tensor, at which torch compiles its rules with a deprecated tool of its own and warns of it."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore")
        forward_ad.make_dual(torch.zeros(()), torch.zeros(()))


@contextmanager
def dual_level() -> Iterator[None]:
    """A level of forward-mode AD, of which a process has one, without torch's own warnings."""
    with one_thread():
        _load_rules()
        forward_ad.enter_dual_level()
        with changed(forward_ad.exit_dual_level):
            yield


def block_with_tangent(vit: OpenViT, layer: int, stream: Tensor, tangent: Tensor) -> tuple[Tensor, Tensor]:
    """Run one block, primal and tangent together, without a graph, whatever it is made of.

    By torch's own rules: right for every block, and twice the price of a block in parts.

    Args:
        vit: the opened model.
        layer: which block.
        stream: (rows, tokens, features), what enters the block.
        tangent: of the same shape, the direction in which the derivative is taken.

    Returns:
        What leaves the block, and its derivative along `tangent`.
    """
    # Fused attention has no forward-mode rule.
    with torch.no_grad(), dual_level(), sdpa_kernel(SDPBackend.MATH):
        out = forward_ad.unpack_dual(vit.block(layer, forward_ad.make_dual(stream, tangent)))
        if out.tangent is None:
            raise RuntimeError(f"block {layer} lost its tangent: forward-mode AD is switched off here")
        return out.primal, out.tangent
