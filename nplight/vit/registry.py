"""The families of ViT that can be opened: adding one is a file and a row here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from nplight.errors import UnsupportedModelError, listed
from nplight.vit.open_vit import OpenViT
from nplight.vit.timm_distilled import TimmDistilledViT
from nplight.vit.timm_vit import TimmViT

# The first that matches opens a model: special classes stand before those they derive from.
FAMILIES: tuple[type[OpenViT], ...] = (TimmDistilledViT, TimmViT)


def open_vit(model: nn.Module | OpenViT) -> OpenViT:
    """Open a Vision Transformer at its feed-forward neurons.

    Args:
        model: a supported `nn.Module`, in whatever mode, dtype and device; an opened one is returned as it is.

    Returns:
        The adapter: `embed | blocks | head`, the sites of the neurons, the path tokens, the layer widths.

    Raises:
        UnsupportedModelError: naming the model's class, why, and what is supported.
    """
    if isinstance(model, OpenViT):
        return model
    for family in FAMILIES:
        if isinstance(model, nn.Module) and family.matches(model):
            opener: Callable[[Any], OpenViT] = family
            return opener(model)
    supported = "; ".join(family.supports for family in FAMILIES)
    raise UnsupportedModelError(f"`model` is a {type(model).__name__}, which cannot be opened. Supported: {supported}")


def find_vit(module: nn.Module, name: str | None = None) -> OpenViT:
    """Open the only Vision Transformer inside a module, or the one that is asked for.

    Args:
        module: the model itself, or a module (a LightningModule, say) that holds it at any depth.
        name: its dotted name inside `module`, as in `named_modules()`; `None`: the only one there is.

    Raises:
        UnsupportedModelError: there is none, there are several and no `name`, or it cannot be opened.
    """
    if name is not None:
        modules = dict(module.named_modules())
        if name not in modules:
            raise UnsupportedModelError(f"`vit` must name a module inside {type(module).__name__}, got {name!r}")
        return open_vit(modules[name])
    found = [
        (path, candidate)
        for path, candidate in module.named_modules()
        if any(family.matches(candidate) for family in FAMILIES)
    ]
    if len(found) == 1:
        return open_vit(found[0][1])
    if found:
        raise UnsupportedModelError(
            f"{type(module).__name__} holds {len(found)} Vision Transformers, {listed(path for path, _ in found)}; "
            f"name one of them with `vit`"
        )
    return open_vit(module)
