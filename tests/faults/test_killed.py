"""Real processes killed at random moments, as a cluster kills them, and started again: the files of one quiet run."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.callbacks.digits_project import assert_same
from tests.callbacks.foreign_project import contents
from tests.faults.forked_runs import ended, kill, parts, reached, started, validate

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
KILLS = 21


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
