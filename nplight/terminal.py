"""What a terminal shows while something takes long, or that it shows nothing."""

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
    """The rate of a task: in its last seconds, or its mean where these had no two ticks, and once it has ended."""
    mean = task.completed / task.elapsed if task.elapsed else 0.0
    return mean if task.finished else task.speed or mean


class ImagesPerSecond(ProgressColumn):
    """The speed of a task.

    Args:
        speed: of a task, images a second.
    """

    def __init__(self, speed: Callable[[Task], float]) -> None:
        super().__init__()
        self._speed = speed

    def render(self, task: Task) -> Text:
        """The speed in words."""
        return Text(f"{self._speed(task):,.1f} images/s")


@contextmanager
def without_tips() -> Iterator[None]:
    """Leave out what Lightning prints at every start to advertise other products."""
    logger = rank_zero.log  # of Lightning or of its twin package, whichever was imported last
    logger.addFilter(_is_no_tip)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_tip)


def _is_no_tip(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("💡 Tip: For seamless cloud")


@contextmanager
def silence() -> Iterator[None]:
    """Print nothing but warnings and errors: neither tables nor Lightning's news."""
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
