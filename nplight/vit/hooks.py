"""User hooks at places that a search bypasses."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from nplight.errors import UnsupportedModelError, listed
from nplight.vit.module_checks import hooked_itself
from nplight.vit.open_vit import OpenViT
from nplight.vit.torch_private import hooks_of
from nplight.vit.wrapped import WrappedViT


def refuse_hooks(vit: OpenViT) -> None:
    """Refuse hooks after the neurons of a block, and on modules that are run in pieces.

    From a layer's neurons to the stream that leaves its block the engine applies only the down projection. Hooks before
    the neurons, in the head and on a wrapper are part of the searched model.

    Raises:
        UnsupportedModelError: naming the modules with such hooks.

    Examples:
        >>> import nplight
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.vit import refuse_hooks
        >>> vit = nplight.open_vit(build_planted(PLANTED["chain"]).model)
        >>> refuse_hooks(vit)  # the model has none
    """
    names = {module: name for name, module in vit.transformer.named_modules()}
    if hooked := list(dict.fromkeys(names[module] or "the model itself" for module in _misplaced(vit))):
        raise UnsupportedModelError(
            f"`model` must have no hooks between the neurons of a block and the stream that leaves it, nor on modules "
            f"that are run in pieces, but has on {listed(hooked)}: a search would not see what they change. Remove "
            f"them while you search, or make what they do part of the module before the neurons"
        )


def _misplaced(vit: OpenViT) -> Iterator[nn.Module]:
    # A model with hooks at opening is opened as a wrapper of itself.
    if not isinstance(vit, WrappedViT) and hooked_itself(vit.transformer):
        yield vit.transformer
    blocks = set(vit.blocks())
    for block, down in zip(vit.blocks(), vit.down):
        yield from _after_neurons(block, down.linear)
    for module in vit.transformer.modules():
        holds_blocks = module not in blocks and not blocks.isdisjoint(module.modules())
        if holds_blocks and module is not vit.transformer and hooked_itself(module):
            yield module


def _after_neurons(block: nn.Module, linear: nn.Module) -> Iterator[nn.Module]:
    """The modules with a hook that runs after the neurons: in every family modules are listed in running order."""
    after = False
    for module in block.modules():
        holds = linear in module.modules()
        # A forward pre-hook of the projection, or of a module that holds it, runs before the neurons are read.
        if (holds and hooks_of(module, before_forward=False)) or (after and hooked_itself(module)):
            yield module
        after = after or module is linear
