"""A lock for the state that the threads of a process share.

Forward-mode AD has one level per process, and a model's hooks and flags are shared by all threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nplight.vit.interrupts import interrupts_deferred

# One lock for all models: they share forward-mode AD, and several locks could deadlock.
_lock = threading.RLock()

# The undo functions of the changes made by the thread that holds the lock, in order.
_changes: list[Callable[[], None]] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold the lock: other threads wait to enter, and Ctrl-C acts at an `interrupt_point` or at the end.

    Nests. Do not hold it while user code decides when to leave: two threads could wait for each other.

    Examples:
        >>> from nplight.vit import one_thread
        >>> with one_thread(), one_thread():  # nests
        ...     held = True
        ...
    """
    # Ctrl-C acts at once while waiting for the lock.
    with _lock, interrupts_deferred():
        yield


@contextmanager
def changed(undo: Callable[[], None]) -> Iterator[None]:
    """Within `one_thread`: call `undo` at the end, after an error, and in a forked process.

    A process that is forked while another thread holds the lock inherits its changes without the thread that would undo
    them.

    Examples:
        >>> from nplight.vit import changed, one_thread
        >>> state = []
        >>> with one_thread(), changed(state.clear):
        ...     state.append("changed")
        ...
        >>> state  # `clear` undid it
        []
    """
    _changes.append(undo)
    try:
        yield
    finally:
        try:
            undo()
        finally:
            _changes.pop()


def _after_fork() -> None:
    """In the child, whose only thread is the one that forked."""
    global _lock
    if _lock.acquire(blocking=False):
        _lock.release()
        return
    _lock = threading.RLock()
    while _changes:
        _changes.pop()()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
