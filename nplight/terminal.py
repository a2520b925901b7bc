"""Terminal output: rates of progress bars, and silencing of messages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import rich
from lightning_utilities.core import rank_zero
from rich.progress import ProgressColumn, Task
from rich.text import Text

_TALKERS = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")


def ticks_per_second(task: Task) -> float:
    """The recent rate of a task; its mean rate if there were too few recent ticks, or if it has finished."""
    mean = task.completed / task.elapsed if task.elapsed else 0.0
    return mean if task.finished else task.speed or mean


class ImagesPerSecond(ProgressColumn):
    """A progress column with the speed of a task.

    Args:
        speed: function of a task, in images per second.
        brake: function of a task: what slows it down, where something does; `None`: nothing is said of that.
    """

    def __init__(self, speed: Callable[[Task], float], brake: Callable[[Task], str] | None = None) -> None:
        super().__init__()
        self._speed = speed
        self._brake = brake

    def render(self, task: Task) -> Text:
        """The speed as text."""
        brake = self._brake(task) if self._brake is not None else ""
        return Text(f"{self._speed(task):,.1f} images/s" + (f", {brake}" if brake else ""))


@contextmanager
def without_tips() -> Iterator[None]:
    """Suppress the advertisements that Lightning prints at each start."""
    logger = rank_zero.log  # of `lightning` or `pytorch_lightning`, whichever was imported last
    logger.addFilter(_is_no_tip)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_tip)


def _is_no_tip(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("💡 Tip: For seamless cloud")


@contextmanager
def silence() -> Iterator[None]:
    """Print only warnings and errors, without tables and Lightning's messages."""
    console = rich.get_console()
    loggers = list(map(logging.getLogger, _TALKERS))
    before = console.quiet, [logger.level for logger in loggers]
    console.quiet = True
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        console.quiet = before[0]
        for logger, level in zip(loggers, before[1]):
            logger.setLevel(level)
