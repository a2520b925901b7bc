"""The families of ViT that can be opened: adding one is a file and a row here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from nplight.errors import UnsupportedModelError
from nplight.vit.open_vit import OpenViT
from nplight.vit.timm_vit import TimmViT

FAMILIES: tuple[type[OpenViT], ...] = (TimmViT,)


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
