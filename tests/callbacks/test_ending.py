"""What SIGTERM does to a run; that it ends two processes is tested with real ones, in `faults/test_sigterm.py`."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import distributed

from nplight.callbacks import NeuronPathSearch, ending
from nplight.runs.image_rows import ImageRows
from tests.callbacks.digits_project import FewDigits, model
from tests.callbacks.foreign_project import make_trainer
from tests.callbacks.small_runs import JOINT

PATIENCE = 20
"""Seconds within which a thread must have done what it does in a hundredth."""


class OneOfTwo:
    """What `ending` looks at of a Trainer that runs `validate` on two processes."""

    def __init__(self) -> None:
        self.world_size, self.global_rank, self.is_global_zero = 2, 0, True
        self.received_sigterm = False
        self.state = SimpleNamespace(fn=TrainerFn.VALIDATING)
        self.strategy = SimpleNamespace(launcher=SimpleNamespace(kill=self.killed))
        self.kills: list[int] = []

    def killed(self, number: int) -> None:
        self.kills.append(number)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The store of the processes; the handler of SIGTERM is put back."""
    store, handler = distributed.HashStore(), signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(ending, "process_group_store", lambda: store)
    monkeypatch.setattr(ending, "sigterm_handlers", lambda _: [])
    monkeypatch.setattr(ending, "set_sigterm_received", lambda trainer: setattr(trainer, "received_sigterm", True))
    monkeypatch.setattr(ending, "_POLL", 0.01)
    yield store
    signal.signal(signal.SIGTERM, handler)
    assert signal.set_wakeup_fd(-1) == -1


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def listens() -> bool:
    return any(thread.name == "nplight: SIGTERM" for thread in threading.enumerate())


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("left", ["one process", "fit", "another thread"])
def test_what_lightning_ends_by_itself_is_left_to_it(left: str) -> None:
    trainer: Any = OneOfTwo()
    if left == "one process":
        trainer.world_size = 1
    if left == "fit":
        trainer.state.fn = TrainerFn.FITTING
    before = signal.getsignal(signal.SIGTERM)
    if left == "another thread":
        thread = threading.Thread(target=ending.end_together, args=[trainer])
        thread.start()
        thread.join()
    else:
        ending.end_together(trainer)
    assert signal.getsignal(signal.SIGTERM) == before
    assert not listens()


def test_sigterm_is_passed_on_and_ends_the_run_with_a_status_that_tells(store: Any) -> None:
    trainer: Any = OneOfTwo()
    ending.end_together(trainer)
    ending.end_together(trainer)  # as each callback does
    ending.check_sigterm(trainer)  # nothing has come
    os.kill(os.getpid(), signal.SIGTERM)
    until(lambda: store.check([ending._KEY]))
    assert trainer.received_sigterm
    assert trainer.kills == [signal.SIGTERM]
    with pytest.raises(SIGTERMException) as raised:
        ending.check_sigterm(trainer)
    assert raised.value.code == 143
    # Until the end of the run it is this process's only way to end.
    ending.release(trainer, raised.value)
    assert listens()
    ending.release(trainer)
    until(lambda: not listens())


def test_word_from_another_process_ends_this_one(store: Any) -> None:
    trainer: Any = OneOfTwo()
    ending.end_together(trainer)
    assert not trainer.received_sigterm
    store.set(ending._KEY, "")
    until(lambda: trainer.received_sigterm)
    ending.release(trainer)
    until(lambda: not listens())


def test_a_failure_of_this_process_alone_ends_the_listening(store: Any) -> None:
    trainer: Any = OneOfTwo()
    ending.end_together(trainer)
    ending.release(trainer, KeyError("failed"))
    until(lambda: not listens())
    assert not store.check([ending._KEY])


@pytest.mark.usefixtures("store")
def test_a_process_that_does_not_end_in_the_grace_is_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer: Any = OneOfTwo()
    statuses: list[int] = []

    def ended(status: int) -> None:
        statuses.append(status)
        ending._endings[trainer]._closed.set()

    monkeypatch.setattr(ending, "GRACE", 0.02)
    ending.end_together(trainer)
    monkeypatch.setattr(os, "_exit", ended)
    os.kill(os.getpid(), signal.SIGTERM)
    until(lambda: not listens())
    assert statuses == [128 + signal.SIGTERM]
    assert "SIGTERM: process 0 was still at work after" in capsys.readouterr().err
    ending.release(trainer)


@pytest.mark.parametrize(
    "work", [f"{ImageRows.__module__}.ImageRows.search", "nplight.searching.CategorySearch.update"]
)
def test_sigterm_ends_one_process_after_the_batch_with_a_status_that_tells(tmp_path: Path, work: str) -> None:
    """In Lightning's loop over the images, and in a pass of nplight's own."""

    def terminate(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    search = NeuronPathSearch(run_dir=tmp_path, methods=["jas", JOINT], steps=2, kept=(1, 4))
    trainer = make_trainer(search)
    with patch(work, side_effect=terminate) as called, pytest.raises(SystemExit) as raised:
        trainer.validate(model(10), FewDigits(batch_size=4), verbose=False)
    assert called.call_count == 1
    assert raised.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
