"""SIGTERM to one of several processes ends all of them, in a bounded time.

Lightning 2.6 answers it with a collective inside the signal handler, which the others take for the one that they wait
in, or never come to; and Python runs no handler at all while the main thread waits in a collective. Here a thread
listens, tells the other processes through the store that brought them together, and ends a process that has not ended
by itself.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
from datetime import timedelta
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from nplight.callbacks.lightning_private import process_group_store, set_sigterm_received, sigterm_handlers
from nplight.callbacks.run_folders import fitting

GRACE = 20.0
"""Seconds after SIGTERM in which a process may end its batch; what was stored by then is kept."""

STATUS = 128 + signal.SIGTERM
"""The exit status of a run that SIGTERM has ended, as shells have it."""

_POLL = 0.25
_KEY = "nplight: SIGTERM"

_endings: WeakKeyDictionary[Trainer, _Ending] = WeakKeyDictionary()


def end_together(trainer: Trainer) -> None:
    """From here to `release`, SIGTERM to any process ends all; `fit`, and one process alone, are left to Lightning."""
    main = threading.current_thread() is threading.main_thread()
    if main and trainer not in _endings and trainer.world_size > 1 and not fitting(trainer):
        _endings[trainer] = _Ending(trainer)


def release(trainer: Trainer, exception: BaseException | None = None) -> None:
    """The run has ended, well or by an exception."""
    ending = _endings.get(trainer)
    if ending is not None and (exception is None or not ending.wait_for_others()):
        ending.close()
        del _endings[trainer]


def check_sigterm(trainer: Trainer) -> None:
    """End the run here if SIGTERM has come, and with an exit status that tells.

    Lightning looks between the batches of its own loops alone, and ends with 0, after which the launcher of `ddp_spawn`
    and its kin waits for results.

    Raises:
        SIGTERMException: it has.
    """
    if trainer.received_sigterm and not fitting(trainer):
        if ending := _endings.get(trainer):
            ending.wait_for_others()
        raise SIGTERMException(STATUS)


class _Ending:
    """What waits for SIGTERM in this process, and for word of it from the others."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._process = os.getpid()
        self._asked_at: float | None = None
        self._announced, self._closed = threading.Event(), threading.Event()
        self._store: Any = _store()
        self._others = sigterm_handlers(trainer)
        signal.signal(signal.SIGTERM, self._handle)
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        # Written to by C code, also while the main thread waits in a collective.
        self._wakeup = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        if self._wakeup != -1:
            signal.set_wakeup_fd(self._wakeup)
        threading.Thread(target=self._watch, name="nplight: SIGTERM", daemon=True).start()

    def wait_for_others(self) -> bool:
        """Whether the run is ending; returns when the others can know."""
        if self._asked_at is None:
            return False
        self._announced.wait(4 * _POLL)
        if self._trainer.is_global_zero:
            time.sleep(2 * _POLL)  # its end is that of the store
        return True

    def close(self) -> None:
        """Stop to listen."""
        if threading.current_thread() is threading.main_thread():
            if self._wakeup == -1:
                signal.set_wakeup_fd(-1)
            self._sender.close()
        self._closed.set()

    def forget(self) -> None:
        """In a forked process, whose signals are its own."""
        if self._wakeup == -1:
            signal.set_wakeup_fd(-1)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            os._exit(STATUS)  # a data loader's worker, say
        self._end()
        for handler in self._others:
            handler(number, frame)

    def _end(self) -> None:
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            set_sigterm_received(self._trainer)
            if (launcher := self._trainer.strategy.launcher) is not None:
                launcher.kill(signal.SIGTERM)

    def _watch(self) -> None:
        with self._receiver:
            while not self._closed.is_set():
                self._look()

    def _look(self) -> None:
        ready, _, _ = select.select([self._receiver], [], [], _POLL)
        if ready and signal.SIGTERM in self._receiver.recv(4096):
            self._end()
        if not self._announced.is_set():
            self._announce()
        if self._asked_at is not None and time.monotonic() - self._asked_at > GRACE:
            rank = self._trainer.global_rank
            print(f"SIGTERM: process {rank} was still at work after {GRACE:.0f} s", file=sys.stderr, flush=True)
            os._exit(STATUS)

    def _announce(self) -> None:
        try:
            if self._asked_at is not None:
                self._store.set(_KEY, "")
                self._announced.set()
            elif self._store.check([_KEY]):
                self._end()
                self._announced.set()
        except (RuntimeError, AttributeError):
            # The store has gone with its process; a collective will fail for the same reason.
            self._announced.set()


def _store() -> Any:
    store = process_group_store()
    if hasattr(store, "clone"):
        # A connection of its own: one at which the main thread waits answers nobody else.
        store = store.clone()
        store.set_timeout(timedelta(seconds=GRACE / 4))
    return store


def _after_fork() -> None:
    for ending in _endings.values():
        ending.forget()
    _endings.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
