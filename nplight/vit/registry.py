"""The families of ViT that can be opened: adding one is a file and a row here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from torch import nn

from nplight.errors import UnsupportedModelError, described, listed
from nplight.vit.hf_vit import HuggingFaceDeiT, HuggingFaceViT
from nplight.vit.module_checks import hooked_itself
from nplight.vit.open_vit import OpenViT
from nplight.vit.refusals import too_few
from nplight.vit.timm_distilled import TimmDistilledViT
from nplight.vit.timm_eva import TimmEva
from nplight.vit.timm_vit import TimmViT
from nplight.vit.torchvision_vit import TorchvisionViT
from nplight.vit.wrapped import NotCalledError, WrappedViT

# The first that matches opens a model: special classes stand before those they derive from.
FAMILIES: tuple[type[OpenViT], ...] = (
    TimmDistilledViT,
    TimmViT,
    TimmEva,
    TorchvisionViT,
    HuggingFaceViT,
    HuggingFaceDeiT,
)


def open_vit(model: nn.Module | OpenViT, name: str | None = None) -> OpenViT:
    """Open a Vision Transformer at its feed-forward neurons.

    A module that holds a ViT is opened with what its forward does around it: images are prepared, and logits made, as
    there (`WrappedViT`). Where a module has no forward, the outermost one inside it that has one is taken; in the end
    the ViT itself.

    Args:
        model: a supported `nn.Module`, in whatever mode, dtype and device, or a module (a LightningModule, say) that
            holds one at any depth; an opened one is returned as it is.
        name: the dotted name, as in `named_modules()`, of the one to open inside `model`; `None`: `model` itself, or
            the only one it holds. A ViT that the forward of `model` does not run, or not on images alone, is opened by
            itself.

    Returns:
        The adapter: `embed | blocks | head`, the sites of the neurons, the path tokens, the layer widths.

    Raises:
        UnsupportedModelError: there is none, there are several and no `name`, or it cannot be opened: with the class,
            why, and what is supported.
    """
    if isinstance(model, OpenViT):
        return model
    path, family = _only_candidate(model, name)
    opener: Callable[[Any], OpenViT] = family
    modules = _modules_towards(model, path)
    inner = opener(modules[-1])
    for module in modules:
        if module is inner.transformer and not hooked_itself(module):
            break
        try:
            return WrappedViT(module, inner)
        except NotCalledError as error:
            if not error.missing and name is None:
                raise
    inner.refuse(inner.model, too_few(inner.num_classes))
    # A head that somebody put in its place leaves the model's own number of categories behind.
    # (One of another dtype than the body runs under autocast alone.)
    with suppress(RuntimeError):
        inner.num_classes = inner.head_width()
    return inner


def _only_candidate(model: Any, name: str | None) -> tuple[str, type[OpenViT]]:
    """The dotted name of the ViT to open, and its family."""
    found = _candidates(model)
    if name is not None and isinstance(model, nn.Module):
        modules = dict(model.named_modules())
        if not isinstance(name, str) or name not in modules:
            raise UnsupportedModelError(
                f"`vit` must name a module inside {type(model).__name__}, got {described(name)}"
            )
        model = modules[name]
        found = {".".join(filter(None, (name, path))): family for path, family in _candidates(model).items()}
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
    return next(iter(found.items()))


def _candidates(module: Any) -> dict[str, type[OpenViT]]:
    """The families of the Vision Transformers in a module, by dotted name; not of what stands inside them."""
    found: dict[str, type[OpenViT]] = {}
    if isinstance(module, nn.Module):
        for path, candidate in module.named_modules():
            inside = any(path.startswith(f"{outer}.") or outer == "" for outer in found)
            family = next((family for family in FAMILIES if family.matches(candidate)), None)
            if family is not None and not inside:
                found[path] = family
    return found


def _modules_towards(model: Any, path: str) -> list[nn.Module]:
    """The modules from `model` down to the one at a dotted name, without those that torch.compile put around others."""
    names = path.split(".") if path else []
    modules = [model.get_submodule(".".join(names[:depth])) for depth in range(len(names) + 1)]
    return [module for module in modules if not hasattr(module, "_orig_mod")]
