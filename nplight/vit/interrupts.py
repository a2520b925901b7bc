"""Ctrl-C acts where nothing is half done.

Python raises KeyboardInterrupt between any two instructions of the main thread, also in the middle of putting
something back. Where the state of a model or of the process is changed, the signal is noted and acts a little later.
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
"""Seconds after which another Ctrl-C no longer waits: something hangs, and has to be ended as it is."""


class _Deferred:
    """A handler of SIGINT that notes the signal for the handler before it."""

    def __init__(self, handler: Callable[[int, FrameType | None], Any]) -> None:
        self.handler = handler
        self.noted = 0
        self._first = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._first = self._first if self.noted else time.monotonic()
        self.noted += 1
        if time.monotonic() - self._first > PATIENCE:
            self.deliver()

    def deliver(self) -> None:
        """What the signals would have done: as a rule, raise KeyboardInterrupt."""
        while self.noted:
            self.noted -= 1
            self.handler(signal.SIGINT, inspect.currentframe())


_deferred: _Deferred | None = None


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Inside, Ctrl-C waits for the next `interrupt_point`, or for the end. Nests; in other threads it does nothing."""
    global _deferred
    handler = signal.getsignal(signal.SIGINT)
    # Python runs handlers in the main thread alone. One that is no function ends the process, or does nothing.
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
    """Here Ctrl-C may act, if it was noted: whatever is open is closed by its `with`."""
    if _deferred is not None and _deferred.noted and threading.current_thread() is threading.main_thread():
        _deferred.deliver()


def _after_fork() -> None:
    """In the child: it may never come to the end that puts the handler back."""
    global _deferred
    if _deferred is not None:
        handler = _deferred.handler
        if signal.getsignal(signal.SIGINT) is _deferred:
            signal.signal(signal.SIGINT, handler)
        _deferred = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
