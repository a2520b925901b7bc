"""SIGINT inside the contexts, sent by the process to itself; `faults/test_interrupts.py` interrupts whole searches."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from nplight.vit import interrupt_point, interrupts
from nplight.vit.interrupts import interrupts_deferred


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_waits_for_the_end_and_the_handler_is_restored() -> None:
    before, reached = signal.getsignal(signal.SIGINT), []
    with pytest.raises(KeyboardInterrupt), interrupts_deferred():  # noqa: PT012
        ctrl_c()
        reached.append("after the signal")
    assert reached == ["after the signal"]
    assert signal.getsignal(signal.SIGINT) is before
    interrupt_point()  # nothing is pending


def test_a_signal_acts_at_a_point_also_where_contexts_nest() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), interrupts_deferred():  # noqa: PT012
        with interrupts_deferred():
            ctrl_c()
        reached.append("after the inner one")
        interrupt_point()
        reached.append("never")
    assert reached == ["after the inner one"]


def test_a_repeated_signal_acts_at_once_when_patience_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "PATIENCE", -1.0)
    reached = []
    with pytest.raises(KeyboardInterrupt), interrupts_deferred():  # noqa: PT012
        ctrl_c()
        reached.append("never")
    assert reached == []


def test_in_another_thread_nothing_is_deferred() -> None:
    handlers = []

    def work() -> None:
        with interrupts_deferred():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]
