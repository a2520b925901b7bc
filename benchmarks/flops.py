"""Floating-point operations of the matrix products in a piece of work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

# torch's own table leaves out products that are accumulated in place.
_KNOWN = {**flop_registry, torch.ops.aten.addmm_: flop_registry[torch.ops.aten.addmm]}


class _Counter(TorchDispatchMode):
    """`FlopCounterMode` names modules by hooks, which `autograd.grad` to a leaf does not bear; this one only counts."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket in _KNOWN:
            self.total += _KNOWN[func._overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out


def flops(run: Callable[[], object]) -> int:
    """Multiplications and additions in the matrix products, convolutions and attentions of `run()`."""
    with _Counter() as counter:
        run()
    return int(counter.total)
