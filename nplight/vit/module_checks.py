"""Is a module what it seems, down to its last piece?"""

from __future__ import annotations

from collections.abc import Collection

from timm.layers import DropPath, LayerNormFp32, RmsNorm
from torch import nn

from nplight.vit.dual_ops import LAYER_NORMS
from nplight.vit.site_hook import SiteHook

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_IDENTITIES = (nn.Identity, nn.Dropout, DropPath)
_TOKEN_WISE = (*LAYER_NORMS, LayerNormFp32, RmsNorm, nn.RMSNorm, nn.Identity)


def only(module: nn.Module, names: Collection[str]) -> bool:
    """Whether a module holds no submodule but those of `names`, and its class alone says what it does."""
    return {name for name, _ in module.named_children()} <= set(names) and "forward" not in vars(module)


def hooked(*modules: nn.Module) -> bool:
    """Whether somebody's hook waits for the modules, or for what they hold, to be called in this thread."""
    return any(hooked_itself(inner) for module in modules for inner in module.modules())


def hooked_itself(module: nn.Module) -> bool:
    """Whether somebody's hook waits for a module to be called in this thread, not for what it holds."""
    found = (list(getattr(module, name, {}).values()) for name in _HOOKS)
    return any(not isinstance(hook, SiteHook) or hook.acts for hooks in found for hook in hooks)


def identity(*modules: nn.Module | None) -> bool:
    """Whether modules change nothing in evaluation mode; `None` is no module."""
    return all(module is None or type(module) in _IDENTITIES for module in modules)


def token_wise(*norms: nn.Module | None) -> bool:
    """Whether norms take every token for itself; `None` is no norm."""
    return all(norm is None or type(norm) in _TOKEN_WISE for norm in norms)
