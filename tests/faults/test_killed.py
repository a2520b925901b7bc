"""Real processes killed at random moments, as a cluster kills them, and started again: the files of one quiet run.

Every process is a fork of the test's own, which has imported everything: what is killed is the run, not the imports.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch

from nplight.callbacks import NeuronPathSearch, PathEvaluation
from nplight.data import DigitsDataModule
from tests.callbacks.test_callbacks import contents, make_trainer
from tests.callbacks.test_processes import FewDigits, assert_same, model

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
METHODS: list[Any] = ["jas", {"name": "jointly", "method": "jas", "granularity": "category"}]
KILLS = 21
PATIENCE = 1.0
"""Seconds between a signal that asks and SIGKILL, as SLURM gives: two processes may wait for each other."""


def validate(run: Path, devices: int) -> None:
    search = NeuronPathSearch(run_dir=run, methods=METHODS, steps=2, kept=(1, 4))
    evaluation = PathEvaluation(run_dir=run, fractions=(0.5, 1.0), replicates=20)
    data: DigitsDataModule = FewDigits(batch_size=4)
    shared = {} if devices == 1 else {"strategy": "ddp_fork", "devices": devices}
    with forkable():
        make_trainer(search, evaluation, **shared).validate(model(10), data, verbose=False)


def forkable() -> AbstractContextManager[Any]:
    """A forked process may fork: Lightning refuses that after a look for GPUs, of which nothing here uses any."""
    return patch.object(torch.cuda, "_is_in_bad_fork", return_value=False)


def started(run: Path, devices: int) -> int:
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
        validate(run, devices)
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


def kill_and_resume(folder: Path, count: int) -> tuple[Counter[signal.Signals], Counter[int], int]:
    """Runs that are killed, `count` times in all, started again until they end, and compared with one left in peace.

    Returns:
        Kills by signal, kills by the number of processes, and how many left a run half done.
    """
    quiet = folder / "quiet"
    validate(quiet, 1)  # also for what is loaded the first time
    moment = time.monotonic()
    assert ended(started(folder / "timed", 1), 60) == 0
    length = time.monotonic() - moment
    total, kills = len(parts(quiet)), Counter[signal.Signals]()
    killed = Counter[int]()
    interrupted = seed = 0
    while kills.total() < count:
        draw, run = random.Random(seed), folder / f"seed {seed}"
        processes = draw.choice([(1,), (1, 2)])
        while True:
            before = parts(run)
            devices = draw.choice(processes)
            child = started(run, devices)
            # A number of stored parts and some time: random on a machine of any speed; now and then nothing happens.
            most = max(len(before), total)  # two processes that end one's run may store a few more
            target, pause = draw.randint(len(before), most), draw.choice([0, draw.uniform(0, length / 2)])
            if kills.total() == count or draw.random() < 0.05:
                target = 2 * most
            status = reached(child, run, target)
            if status is None:
                status = ended(child, pause)
            if status is None:
                number = SIGNALS[kills.total() % len(SIGNALS)]
                status = kill(child, number)
                kills[number] += status != 0
                killed[devices] += status != 0
            after = parts(run)
            # What was stored stays as it was, and is not searched again.
            assert {name: after.get(name) for name in before} == before, f"seed {seed}"
            interrupted += 0 < len(after) < total
            if status == 0:
                break
            assert status in (1, *(-number for number in SIGNALS)), f"seed {seed}"
        assert_same(quiet, run)
        if processes == (1,):
            assert contents(run) == contents(quiet)
        seed += 1
    return kills, killed, interrupted


@pytest.mark.filterwarnings("ignore:.*use of fork\\(\\):DeprecationWarning")
def test_runs_killed_at_random_moments_end_with_the_files_of_a_quiet_one(tmp_path: Path) -> None:
    kills, killed, interrupted = kill_and_resume(tmp_path, KILLS)
    assert set(kills) == set(SIGNALS)
    assert set(killed) == {1, 2}
    assert interrupted >= 3
