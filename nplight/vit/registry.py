"""`open_vit` and the registry of families: a new family is one module and one row here."""

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
from nplight.vit.torch_private import is_compile_wrapper
from nplight.vit.torchvision_vit import TorchvisionViT
from nplight.vit.wrapped import WrappedViT
from nplight.vit.wrapper_forward import NotCalledError

# The first match opens a model: derived classes precede their base classes.
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

    A module that holds a ViT is opened together with the computation of its forward around the ViT, before and after it
    (`WrappedViT`). If a module has no forward, the outermost module inside it that has one is opened; in the end the
    ViT itself.

    Args:
        model: a supported `nn.Module`, in any mode, dtype and device, or a module (such as a LightningModule) that
            holds one at any depth; an opened model is returned unchanged.
        name: the dotted name, as in `named_modules()`, of the ViT to open inside `model`; `None`: `model` itself, or
            the only one it holds. A ViT that the forward of `model` does not run, or not with images only, is opened
            without it.

    Returns:
        The adapter: `embed | blocks | head`, the sites of the neurons, the path tokens, the layer widths.

    Raises:
        UnsupportedModelError: there is none, there are several and no `name`, or it cannot be opened: with the class,
            the reason and what is supported.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import nplight
        >>> vit = nplight.open_vit(planted.model)
        >>> vit.widths, vit.num_classes, vit.path_tokens
        ((256, 256, 256, 256), 4, slice(0, 1, None))
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
    # A head replaced by the user does not update the model's number of categories.
    # (A head whose dtype differs from the body's runs only under autocast.)
    with suppress(RuntimeError):
        inner.num_classes = inner.head_width()
    return inner


def _only_candidate(model: Any, name: str | None) -> tuple[str, type[OpenViT]]:
    """The dotted name of the ViT to open, and its family."""
    candidates = _candidates(model)
    if name is not None and isinstance(model, nn.Module):
        modules = dict(model.named_modules())
        if not isinstance(name, str) or name not in modules:
            raise UnsupportedModelError(
                f"`vit` must name a module inside {type(model).__name__}, got {described(name)}"
            )
        model = modules[name]
        candidates = {".".join(filter(None, (name, path))): family for path, family in _candidates(model).items()}
    if len(candidates) > 1:
        raise UnsupportedModelError(
            f"{type(model).__name__} holds {len(candidates)} Vision Transformers, {listed(candidates)}; "
            f"name one of them with `vit`, or give that module itself"
        )
    if not candidates:
        supported = "; ".join(family.supports for family in FAMILIES)
        raise UnsupportedModelError(
            f"`model` is a {type(model).__name__}, which cannot be opened. Supported: {supported}"
        )
    return next(iter(candidates.items()))


def _candidates(module: Any) -> dict[str, type[OpenViT]]:
    """The families of the outermost Vision Transformers in a module, by dotted name."""
    candidates: dict[str, type[OpenViT]] = {}
    if isinstance(module, nn.Module):
        for path, candidate in module.named_modules():
            inside = any(path.startswith(f"{outer}.") or outer == "" for outer in candidates)
            family = next((family for family in FAMILIES if family.matches(candidate)), None)
            if family is not None and not inside:
                candidates[path] = family
    return candidates


def _modules_towards(model: Any, path: str) -> list[nn.Module]:
    """The modules from `model` down to the one at a dotted name, without the wrappers of torch.compile."""
    names = path.split(".") if path else []
    modules = [model.get_submodule(".".join(names[:depth])) for depth in range(len(names) + 1)]
    return [module for module in modules if not is_compile_wrapper(module)]
