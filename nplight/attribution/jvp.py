"""A block and its JVP, by forward-mode AD."""

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
def _load_derivatives() -> None:
    """Make a first dual tensor: torch then compiles its forward derivatives with TorchScript, and warns about that."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore")
        forward_ad.make_dual(torch.zeros(()), torch.zeros(()))


@contextmanager
def dual_level() -> Iterator[None]:
    """The level of forward-mode AD, of which a process has one, entered without torch's deprecation warnings."""
    with one_thread():
        _load_derivatives()
        forward_ad.enter_dual_level()
        with changed(forward_ad.exit_dual_level):
            yield


def block_jvp(vit: OpenViT, layer: int, stream: Tensor, tangent: Tensor) -> tuple[Tensor, Tensor]:
    """Run one block and its JVP, without a graph, for any kind of block.

    Uses torch's own forward derivatives, which cost twice as much as those of a block in parts (`BlockRunner`).

    Args:
        vit: the opened model.
        layer: which block.
        stream: (rows, tokens, features), the stream that enters the block.
        tangent: as `stream`, the direction of the derivative.

    Returns:
        The stream that leaves the block and its derivative along `tangent`, (rows, tokens, features) each.

    Raises:
        RuntimeError: forward-mode AD is disabled.
    """
    # Fused attention has no forward-mode rule.
    with torch.no_grad(), dual_level(), sdpa_kernel(SDPBackend.MATH):
        out = forward_ad.unpack_dual(vit.block(layer, forward_ad.make_dual(stream, tangent)))
        if out.tangent is None:
            raise lost_tangent(layer)
        return out.primal, out.tangent


def lost_tangent(layer: int) -> RuntimeError:
    """The error for a block whose output has no tangent."""
    return RuntimeError(
        f"block {layer} lost its tangent: forward-mode AD is disabled here; leave torch.inference_mode, and enable it "
        f"with torch.autograd.forward_ad"
    )
