"""The families of ViT that can be opened: adding one is a file and a row here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from nplight.errors import UnsupportedModelError, listed
from nplight.vit.hf_vit import HuggingFaceViT
from nplight.vit.open_vit import OpenViT
from nplight.vit.timm_distilled import TimmDistilledViT
from nplight.vit.timm_eva import TimmEva
from nplight.vit.timm_vit import TimmViT
from nplight.vit.torchvision_vit import TorchvisionViT

# The first that matches opens a model: special classes stand before those they derive from.
FAMILIES: tuple[type[OpenViT], ...] = (TimmDistilledViT, TimmViT, TimmEva, TorchvisionViT, HuggingFaceViT)


def open_vit(model: nn.Module | OpenViT, name: str | None = None) -> OpenViT:
    """Open a Vision Transformer at its feed-forward neurons.

    Args:
        model: a supported `nn.Module`, in whatever mode, dtype and device, or a module (a LightningModule, say) that
            holds one at any depth; an opened one is returned as it is.
        name: the dotted name, as in `named_modules()`, of the one to open inside `model`; `None`: `model` itself, or
            the only one it holds.

    Returns:
        The adapter: `embed | blocks | head`, the sites of the neurons, the path tokens, the layer widths.

    Raises:
        UnsupportedModelError: there is none, there are several and no `name`, or it cannot be opened: with the class,
            why, and what is supported.
    """
    if isinstance(model, OpenViT):
        return model
    found = _candidates(model)
    if name is not None:
        modules = dict(model.named_modules())
        if name not in modules:
            raise UnsupportedModelError(f"`vit` must name a module inside {type(model).__name__}, got {name!r}")
        found = _candidates(modules[name])
        model = modules[name]
    if len(found) > 1:
        raise UnsupportedModelError(
            f"{type(model).__name__} holds {len(found)} Vision Transformers, {listed(found)}; "
            f"name one of them with `vit`, or give that module itself"
        )
    if not found:
        supported = "; ".join(family.supports for family in FAMILIES)
        raise UnsupportedModelError(
            f"`model` is a {type(model).__name__}, which cannot be opened. Supported: {supported}"
        )
    ((family, vit),) = found.values()
    opener: Callable[[Any], OpenViT] = family
    return opener(vit)


def _candidates(module: Any) -> dict[str, tuple[type[OpenViT], nn.Module]]:
    """The Vision Transformers in a module by dotted name, each with its family; not what stands inside them."""
    found: dict[str, tuple[type[OpenViT], nn.Module]] = {}
    if isinstance(module, nn.Module):
        for path, candidate in module.named_modules():
            inside = any(path.startswith(f"{outer}.") or outer == "" for outer in found)
            family = next((family for family in FAMILIES if family.matches(candidate)), None)
            if family is not None and not inside:
                found[path] = (family, candidate)
    return found
