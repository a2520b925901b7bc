"""Deferred Ctrl-C: it acts only at points where no state is half changed.

Python raises KeyboardInterrupt between any two instructions of the main thread, also while state is being restored.
Where the state of a model or of the process is changed, the signal is recorded and handled later.
"""

from __future__ import annotations

import inspect
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

PATIENCE = 10.0
"""Seconds after which a repeated Ctrl-C acts at once, since the program may hang."""


class _Deferred:
    """A handler of SIGINT that records the signal for the previous handler."""

    def __init__(self, handler: Callable[[int, FrameType | None], Any]) -> None:
        self.handler = handler
        self.pending = 0
        self._first = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._first = self._first if self.pending else time.monotonic()
        self.pending += 1
        if time.monotonic() - self._first > PATIENCE:
            self.deliver()

    def deliver(self) -> None:
        """Call the previous handler for the recorded signals; by default it raises KeyboardInterrupt."""
        while self.pending:
            self.pending -= 1
            self.handler(signal.SIGINT, inspect.currentframe())


_deferred: _Deferred | None = None


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Defer Ctrl-C to the next `interrupt_point` or to the end. Nests; without effect in other threads."""
    global _deferred
    handler = signal.getsignal(signal.SIGINT)
    # Python runs handlers only in the main thread. One that is not callable ends the process or ignores the signal.
    if threading.current_thread() is not threading.main_thread() or not callable(handler) or _deferred is not None:
        yield
        return
    deferred = _Deferred(handler)
    try:
        _deferred = deferred
        signal.signal(signal.SIGINT, deferred)
        yield
    finally:
        _deferred = None
        if signal.getsignal(signal.SIGINT) is deferred:
            signal.signal(signal.SIGINT, handler)
        deferred.deliver()


def interrupt_point() -> None:
    """Handle a deferred Ctrl-C, if there is one; every open context is closed by its `with`.

    Examples:
        >>> from nplight.vit import interrupt_point, one_thread
        >>> with one_thread():
        ...     for batch in range(3):
        ...         interrupt_point()  # Ctrl-C acts here
        ...
    """
    if _deferred is not None and _deferred.pending and threading.current_thread() is threading.main_thread():
        _deferred.deliver()


def _after_fork() -> None:
    """In the child, which may never reach the end that restores the handler."""
    global _deferred
    if _deferred is not None:
        handler = _deferred.handler
        if signal.getsignal(signal.SIGINT) is _deferred:
            signal.signal(signal.SIGINT, handler)
        _deferred = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
