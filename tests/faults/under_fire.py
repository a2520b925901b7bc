"""Interrupts, kills and threads, as many as asked for: nothing wrong, nothing left.

    python -m tests.faults.under_fire [--interrupts 20] [--kills 20] [--searches 200]

An interrupt is Ctrl-C at a random moment of searches, in this process and in forked ones. A kill is SIGKILL, SIGTERM or
Ctrl-C at a random moment of `validate` on one process or two, which is then started again. The searches are those of
two threads at once, of one model and of two. The exit status is 1 if a result differs from that of a quiet run
(wrong), or if a flag, a hook, a handler or a file stays behind (left).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from nplight import PathBatch, search
from tests.conftest import make_vit
from tests.faults.forked_runs import ended
from tests.faults.test_interrupts import state_of
from tests.faults.test_killed import kill_and_resume
from tests.faults.test_threads import OPTIONS, at_once, same
from tests.vit.families import torchvision_vit

BUILD: tuple[Callable[[], nn.Module], ...] = (make_vit, torchvision_vit)
IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
LONGEST = 0.3
"""Seconds after which an interrupt comes at the latest; a search takes a few hundredths."""


@dataclass(slots=True)
class Tally:
    """What was done, how often a result was wrong, and how often something was left behind."""

    done: int = 0
    wrong: int = 0
    left: int = 0


def interrupts(count: int, draw: random.Random) -> Tally:
    """Ctrl-C at random moments of searches, every second one in a forked process."""
    tally = Tally()
    for number in range(count):
        model, pause = BUILD[number // 2 % 2]().train(), draw.uniform(0, LONGEST)
        if number % 2:
            status = _forked(model, pause)
        else:
            timer = threading.Timer(pause, os.kill, (os.getpid(), signal.SIGINT))
            status = _interrupted(model, timer.start)
        tally.done += 1
        tally.wrong += status == 1
        tally.left += status == 2
    return tally


def _interrupted(model: nn.Module, ready: Callable[[], None]) -> int:
    """Search until Ctrl-C comes: 0 where all is well after it, 1 where results are wrong, 2 where something is left."""
    expected, before = search(model, IMAGES, **OPTIONS), state_of(model)
    end = time.monotonic() + 100 * LONGEST
    try:
        ready()
        while time.monotonic() < end:
            search(model, IMAGES, **OPTIONS)
    except KeyboardInterrupt:
        if state_of(model) != before:
            return 2
        return 0 if same(search(model, IMAGES, **OPTIONS), expected) else 1
    return 1  # it was swallowed


def _forked(model: nn.Module, pause: float) -> int:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            status = _interrupted(model, lambda: os.close(writing))
        finally:
            os._exit(status)
    os.close(writing)
    os.read(reading, 1)  # returns when the child is ready
    os.close(reading)
    time.sleep(pause)
    os.kill(child, signal.SIGINT)
    status = ended(child, 200 * LONGEST)
    if status is None:
        os.kill(child, signal.SIGKILL)
        ended(child, 60)
    return 1 if status is None else status


def kills(count: int) -> Tally:
    """Runs of `validate` that are killed and started again."""
    tally = Tally()
    if not count:
        return tally
    with tempfile.TemporaryDirectory() as folder:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                killed, _, _ = kill_and_resume(Path(folder), count)
            tally.done = killed.total()
        except AssertionError:
            traceback.print_exc()
            tally.wrong += 1
        quiet = {path.relative_to(Path(folder, "quiet")) for path in Path(folder, "quiet").rglob("*")}
        for run in Path(folder).glob("seed *"):
            files = {path.relative_to(run) for path in run.rglob("*") if not path.match("paths/part-*")}
            tally.left += len(files - quiet)
    return tally


def searches(count: int) -> Tally:
    """Two searches at once, in two threads: by turns of one model and of two."""
    models = [build().train() for build in BUILD]
    before = [state_of(model) for model in models]
    parts = IMAGES[:2], IMAGES[2:]
    expected = [[search(model, part, **OPTIONS) for part in parts] for model in models]
    tally = Tally()
    for number in range(count):
        pair = ((0, 1), (0, 0), (1, 1))[number % 3]

        def work(thread: int, pair: tuple[int, int] = pair) -> PathBatch:
            return search(models[pair[thread]], parts[thread], **OPTIONS)

        try:
            found = at_once(lambda: work(0), lambda: work(1))
            right = all(same(found[thread], expected[pair[thread]][thread]) for thread in (0, 1))
        except Exception:
            traceback.print_exc()
            right = False
        tally.done += 1
        tally.wrong += not right
        tally.left += [state_of(model) for model in models] != before
    return tally


def main(words: Sequence[str] | None = None) -> int:
    """Carry out what is asked for, print a line for each kind, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interrupts", type=int, default=20, help="Ctrl-C in searches")
    parser.add_argument("--kills", type=int, default=20, help="of validate runs")
    parser.add_argument("--searches", type=int, default=200, help="pairs of searches, in two threads")
    parser.add_argument("--seed", type=int, default=0, help="draws the moments of the interrupts")
    asked = parser.parse_args(words)
    warnings.filterwarnings("ignore", message=".*use of fork", category=DeprecationWarning)
    kinds = {
        "interrupts": lambda: interrupts(asked.interrupts, random.Random(asked.seed)),
        "kills": lambda: kills(asked.kills),
        "searches in two threads": lambda: searches(asked.searches),
    }
    failed = False
    for name, work in kinds.items():
        tally = work()
        failed |= bool(tally.wrong or tally.left)
        print(f"{tally.done} {name}: {tally.wrong or 'nothing'} wrong, {tally.left or 'nothing'} left", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
