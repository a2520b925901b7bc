"""`Uncompiled`: run compiled models uncompiled for a while."""

from __future__ import annotations

from typing import Any

import torch

# The stance of torch.compile is global: the number of open handles in all threads, and the context that restores it.
_open = 0
_stance: Any = None


class Uncompiled:
    """Until `remove`, everything compiled by `torch.compile` or `compile()` runs uncompiled.

    Applies to all threads, which costs them time but does not change their results. Create and remove it inside
    `one_thread`.

    Examples:
        >>> from nplight.vit import Uncompiled, one_thread
        >>> with one_thread():
        ...     uncompiled = Uncompiled()  # compiled code runs uncompiled, so that it sees new hooks
        ...     uncompiled.remove()
        ...
    """

    def __init__(self) -> None:
        global _open, _stance
        if not _open:
            _stance = torch.compiler.set_stance("force_eager")
            _stance.__enter__()
        _open += 1
        self._removed = False

    def remove(self) -> None:
        """Let compiled code run again, unless another handle is open; a second call does nothing."""
        global _open
        if self._removed:
            return
        self._removed = True
        _open -= 1
        if not _open:
            _stance.__exit__(None, None, None)
