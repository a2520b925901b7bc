"""One thread of a process works at a time, where threads share what they change.

Forward-mode AD has one level for the whole process, and a model's hooks and flags are the same for all threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nplight.vit.interrupts import interrupts_deferred

# One lock and not one for each model: forward-mode AD is shared by all, and several locks could be taken crosswise.
_lock = threading.RLock()

# How to undo what the working thread has changed, in order.
_changes: list[Callable[[], None]] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, other threads wait that come here too, and Ctrl-C acts at an `interrupt_point`, or at the end.

    Nests. Not for a time that a caller controls: two threads could wait for each other.
    """
    # Ctrl-C while waiting for another thread acts at once.
    with _lock, interrupts_deferred():
        yield


@contextmanager
def changed(undo: Callable[[], None]) -> Iterator[None]:
    """Inside `one_thread`: `undo` what is changed inside, at the end, after an error, and in a forked process.

    A process that is forked while another thread works has its changes, and not the thread that would undo them.
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
    """In the child: it has one thread, the one that forked."""
    global _lock
    if _lock.acquire(blocking=False):
        _lock.release()
        return
    _lock = threading.RLock()
    while _changes:
        _changes.pop()()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
