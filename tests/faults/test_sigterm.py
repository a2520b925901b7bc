"""SIGTERM to one of two processes: both end in a bounded time, and what was stored is kept."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer

from nplight.callbacks import ending
from tests.callbacks.digits_project import assert_same
from tests.faults.forked_runs import ended, kill, parts, started, validate

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork\\(\\):DeprecationWarning")

BOUND = 10
"""Seconds in which all must have ended; the grace is a second here."""


class Pids(Callback):
    """Writes down which process each is, and keeps the first at work for a time: `busy` seconds in its third batch."""

    def __init__(self, folder: Path, busy: float) -> None:
        self.folder, self.busy = folder, busy

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        (self.folder / f"{trainer.global_rank}").write_text(f"{os.getpid()}")

    def on_validation_batch_end(self, trainer: Trainer, *more: Any, **named: Any) -> None:
        if more[3] == 2 and trainer.is_global_zero and self.busy:
            (self.folder / "busy").touch()
            time.sleep(self.busy)


def until(condition: Any) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(scope="module")
def quiet_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nobody disturbed, to be read."""
    folder = tmp_path_factory.mktemp("quiet")
    validate(folder, 1)
    return folder


# The first is at work for long: the second waits for it in a collective, where Python runs no signal handler.
@pytest.mark.parametrize(("busy", "victim"), [(0, 0), (0, 1), (120, 0), (120, 1)])
def test_sigterm_to_one_of_two_processes_ends_both(tmp_path: Path, quiet_run: Path, busy: float, victim: int) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with patch.object(ending, "GRACE", 1.0):
        child = started(run, 2, Pids(run, busy))
    try:
        until(lambda: len(parts(run)) >= 5 and (not busy or (run / "busy").exists()))
        if busy:
            until(lambda: len(parts(run)) >= 9)  # the second has done all of its share
            time.sleep(0.5)
        before, numbers = parts(run), [int((run / f"{rank}").read_text()) for rank in range(2)]
        os.kill(numbers[victim], signal.SIGTERM)
        assert ended(child, BOUND) == 1
        for number in numbers:
            with pytest.raises(ProcessLookupError):
                os.kill(number, 0)
    finally:
        with contextlib.suppress(ChildProcessError, AssertionError):
            kill(child, signal.SIGKILL)
    assert {name: parts(run)[name] for name in before} == before
    validate(run, 1)
    assert_same(quiet_run, run)
