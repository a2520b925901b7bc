"""`SiteHook`: a hook on the site of a layer's neurons, which acts in one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class SiteHook:
    """A forward pre-hook of a down projection.

    Args:
        change: the input of the projection -> its new input, (images, tokens, width) each; `None` for no change.
        thread: the thread in which it acts.

    Attributes:
        fired: number of calls in which it acted.
        elsewhere: number of calls in other threads.

    Examples:
        >>> import threading
        >>> import torch
        >>> from nplight.vit import SiteHook
        >>> down = torch.nn.Linear(8, 4)
        >>> hook = SiteHook(torch.zeros_like, threading.get_ident())  # every neuron at 0
        >>> handle = down.register_forward_pre_hook(hook)
        >>> torch.equal(down(torch.randn(1, 5, 8))[0, 0], down.bias), hook.fired
        (True, 1)
        >>> handle.remove()
    """

    def __init__(self, change: Callable[[Tensor], Tensor | None], thread: int) -> None:
        self.fired = self.elsewhere = 0
        self._change = change
        self._thread = thread

    @property
    def acts(self) -> bool:
        """Whether it acts in this thread."""
        # A backward pass runs checkpointed blocks again, on a GPU in a thread of autograd.
        return threading.get_ident() == self._thread or torch._C._current_graph_task_id() != -1

    def __call__(self, module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not self.acts:
            self.elsewhere += 1
            return None
        self.fired += 1
        changed = self._change(arguments[0])
        return None if changed is None else (changed, *arguments[1:])
