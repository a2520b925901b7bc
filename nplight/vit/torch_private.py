"""Private names of `torch.nn.Module`, each with its reason; tried with torch 2.15."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

COMPILED_PREFIX = "_orig_mod."
"""In the names of weights inside what `torch.compile(module)` returns; torch has no public test for such a wrapper."""

_PRE_FORWARD = ("_forward_pre_hooks",)
_OTHERS = ("_forward_hooks", "_backward_hooks", "_backward_pre_hooks")


def hooks_of(module: nn.Module, *, before_forward: bool = True) -> list[Any]:
    """The hooks registered on a module; torch has no public list of them.

    Args:
        module: without its submodules.
        before_forward: whether those that run before its forward count.
    """
    names = (*_PRE_FORWARD, *_OTHERS) if before_forward else _OTHERS
    return [hook for name in names for hook in list(getattr(module, name, {}).values())]


def is_compile_wrapper(module: nn.Module) -> bool:
    """Whether a module is what `torch.compile(module)` returns."""
    return hasattr(module, COMPILED_PREFIX.removesuffix("."))


def is_compiled(module: nn.Module) -> bool:
    """Whether a module was compiled in place, by `module.compile()`, which torch cannot undo publicly.

    Examples:
        >>> import torch
        >>> from nplight.vit import is_compiled
        >>> is_compiled(torch.nn.Linear(2, 2))
        False
    """
    return module._compiled_call_impl is not None


def run_uncompiled(module: nn.Module) -> Callable[[], None]:
    """Let a module that was compiled in place run uncompiled; the function returned undoes that."""
    compiled = module._compiled_call_impl
    module._compiled_call_impl = module._call_impl

    def restore() -> None:
        module._compiled_call_impl = compiled

    return restore
