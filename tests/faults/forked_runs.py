"""Runs in processes of their own, to be disturbed.

Every process is a fork of the test's own, which has imported everything: what is killed is the run, not the imports.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from lightning.pytorch import Callback

from nplight.callbacks import NeuronPathSearch, PathEvaluation
from nplight.data import DigitsDataModule
from tests.callbacks.digits_project import FewDigits, model
from tests.callbacks.foreign_project import make_trainer

METHODS: list[Any] = ["jas", {"name": "jointly", "method": "jas", "granularity": "category"}]
PATIENCE = 1.0
"""Seconds between a signal that asks and SIGKILL, as SLURM gives: two processes may wait for each other."""


def validate(run: Path, devices: int, *callbacks: Callback) -> None:
    """Search and test a few digits, on one process or several."""
    search = NeuronPathSearch(run_dir=run, methods=METHODS, steps=2, kept=(1, 4))
    evaluation = PathEvaluation(run_dir=run, fractions=(0.5, 1.0), replicates=20, draws=2)
    data: DigitsDataModule = FewDigits(batch_size=4)
    shared = {} if devices == 1 else {"strategy": "ddp_fork", "devices": devices}
    with forkable():
        make_trainer(search, evaluation, *callbacks, **shared).validate(model(10), data, verbose=False)


def forkable() -> AbstractContextManager[Any]:
    """A forked process may fork: Lightning refuses that after a look for GPUs, of which nothing here uses any."""
    return patch.object(torch.cuda, "_is_in_bad_fork", return_value=False)


def started(run: Path, devices: int, *callbacks: Callback) -> int:
    """A run in a process of its own, at the head of a group; its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nowhere, descriptor)
        validate(run, devices, *callbacks)
        code = 0
    finally:
        os._exit(code)


def ended(child: int, patience: float) -> int | None:
    """Its exit status (negative: the signal that killed it); `None`: it still runs."""
    end = time.monotonic() + patience
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.002)


def reached(child: int, run: Path, target: int) -> int | None:
    """Its exit status; `None`: it still runs, and has stored that many parts."""
    while len(parts(run)) < target:
        status = ended(child, 0.01)
        if status is not None:
            return status
    return None


def kill(child: int, number: signal.Signals) -> int:
    """Signal the whole group, and kill what does not heed it; its exit status."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, number)
    status = ended(child, PATIENCE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if status is None:
        status = ended(child, 60)
    assert status is not None
    return status


def parts(run: Path) -> dict[str, tuple[int, int]]:
    """Which file each part is, and when it was written."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in run.glob("paths/part-*")}
