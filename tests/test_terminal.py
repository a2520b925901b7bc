from __future__ import annotations

import pytest
from rich.progress import Progress

from nplight.callbacks import PathProgressBar
from nplight.terminal import ticks_per_second


@pytest.mark.parametrize("pause", [0.5, 40.0, 3600.0])
def test_the_rate_of_slow_work_is_that_of_the_whole_stage(pause: float) -> None:
    """rich forgets what is older than half a minute, and knows no rate where ticks are rarer than that."""
    now = 0.0
    progress = Progress(get_time=lambda: now)
    progress.add_task("Searching paths", total=4, each=10)
    (task,) = progress.tasks
    assert ticks_per_second(task) == 0
    for ticks in (1, 2, 3, 4):
        now += pause
        progress.update(task.id, completed=ticks)
        assert ticks_per_second(task) == pytest.approx(1 / pause)
        assert PathProgressBar().speed(task) == pytest.approx(10 / pause)
    assert task.finished


def test_the_rate_of_quick_work_is_that_of_the_last_seconds() -> None:
    now = 0.0
    progress = Progress(get_time=lambda: now)
    progress.add_task("Searching paths", total=1000)
    (task,) = progress.tasks
    now = 1000.0
    for ticks in range(100):
        now += 0.1
        progress.update(task.id, completed=ticks)
    assert ticks_per_second(task) == pytest.approx(10)
