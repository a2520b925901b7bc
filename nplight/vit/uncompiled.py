"""Compiled code put aside for a while."""

from __future__ import annotations

from typing import Any

import torch

# The stance is the process's: how many handles are open in all threads, and what puts the stance back after the last.
_open = 0
_stance: Any = None


class Uncompiled:
    """Until `remove`, whatever somebody has compiled, by `torch.compile` or `compile()`, runs as it was written.

    In other threads too, which costs them time and changes nothing. Both are to be called inside `one_thread`.
    """

    def __init__(self) -> None:
        global _open, _stance
        if not _open:
            _stance = torch.compiler.set_stance("force_eager")
            _stance.__enter__()
        _open += 1
        self._removed = False

    def remove(self) -> None:
        """Compiled code runs again, unless another handle is open; the second time nothing."""
        global _open
        if self._removed:
            return
        self._removed = True
        _open -= 1
        if not _open:
            _stance.__exit__(None, None, None)
