"""Progress in images: a bar on a terminal, lines in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn
from rich.progress import Progress, Task, TaskID
from rich.text import Text

from nplight.callbacks.lightning_private import OpenProgressBar
from nplight.errors import ArgumentError
from nplight.terminal import ImagesPerSecond, ticks_per_second

WAITING = 0.5
"""Share of the time from which on the loader is called the brake."""


class PathProgressBar(OpenProgressBar):
    """Lightning's rich progress bar with images/s in place of batches/s, beside the time left.

    Where there is no terminal, as in the log file of a job, a stage prints one line when it ends, and one now and then
    while it lasts. Where most of a stage's time is spent waiting for the loader of a data module of nplight's, and not
    searching, the line says so: more loader processes, `num_workers`, would help.

    Args:
        every: least time between two such lines of a stage that lasts, seconds.
        **kwargs: Lightning's own.

    Raises:
        ArgumentError: `every` is negative.

    Examples:
        >>> from lightning.pytorch import Trainer
        >>> from nplight.callbacks import PathProgressBar
        >>> trainer = Trainer(accelerator="cpu", logger=False, callbacks=[PathProgressBar(every=10)])
    """

    def __init__(self, *, every: float = 60.0, **kwargs: Any) -> None:
        if every < 0:
            raise ArgumentError(f"`every` must be at least 0 seconds, got {every}")
        super().__init__(**kwargs)
        self.every = every
        self._printed_at = time.monotonic()

    @property
    def validation_description(self) -> str:
        """What `validate` does at the moment; Lightning's own word in `fit`."""
        if self.trainer.state.fn != TrainerFn.VALIDATING:
            return super().validation_description
        return ("Searching paths", "Testing paths")[min(self.loader_number, 1)]

    def configure_columns(self, trainer: Trainer) -> list[Any]:
        """Lightning's columns, the speed in images."""
        *columns, _ = super().configure_columns(trainer)
        return [*columns, ImagesPerSecond(self.speed, self.brake)]

    def loader(self) -> Any:
        """The loader of the current loop."""
        trainer = self.trainer
        loaders = {
            TrainerFn.FITTING: trainer.train_dataloader,
            TrainerFn.VALIDATING: trainer.val_dataloaders,
            TrainerFn.TESTING: trainer.test_dataloaders,
            TrainerFn.PREDICTING: trainer.predict_dataloaders,
        }
        loader: Any = None if trainer.state.fn is None else loaders[trainer.state.fn]
        if isinstance(loader, (list, tuple)):
            loader = loader[self.loader_number]
        return loader

    def images_a_batch(self) -> int:
        """Images that all processes together handle between two ticks of the bar."""
        return (getattr(self.loader(), "batch_size", None) or 1) * self.trainer.world_size

    def speed(self, task: Task) -> float:
        """Images a second; of a task that has ended its mean."""
        return ticks_per_second(task) * (task.fields.get("each") or self.images_a_batch())

    def brake(self, task: Task) -> str:
        """Where the loader is the brake, its share of the time, for people; else nothing."""
        outside = "each" in task.fields  # of Lightning's loops, whose loader is idle
        waiting: float = 0.0 if outside else getattr(self.loader(), "waiting", 0.0)
        return f"{100 * waiting:.0f}% waiting for images" if waiting > WAITING else ""

    @contextmanager
    def stage(self, description: str, *, total: int, each: int | None = None) -> Iterator[Callable[[int], None]]:
        """A bar for work outside Lightning's loops; what it gives is called with the ticks that are done.

        Args:
            description: what is done.
            total: ticks.
            each: images a tick; `None`: those of a batch.
        """
        bar = self.new_task(description, total)
        if bar is None:
            yield lambda _: None
            return
        progress, task = bar
        progress.update(task, each=each)
        done = 0

        def advance(ticks: int) -> None:
            nonlocal done
            done += ticks
            self.set_done(task, done)

        try:
            yield advance
        finally:
            progress.update(task, visible=False)

    def started(self, progress: Progress) -> None:
        """The display has been made."""
        if not progress.console.is_terminal:
            # Else rich would print the bar itself, once all is over.
            progress.live.transient = True

    def updated(self, progress: Progress, task: TaskID) -> None:
        """A task has moved on."""
        if not progress.console.is_terminal:
            self._print_line(progress, progress.tasks[task])

    def _print_line(self, progress: Progress, task: Task) -> None:
        ended = task.finished and self.trainer.state.fn != TrainerFn.FITTING
        if not ended and time.monotonic() - self._printed_at < self.every:
            return
        self._printed_at = time.monotonic()
        name, rate = Text.from_markup(task.description).plain, ticks_per_second(task)
        words = [f"{name}: {task.percentage:.0f}% in {_clock(task.elapsed)}", f"{self.speed(task):.1f} images/s"]
        if brake := self.brake(task):
            words.append(brake)
        if not ended and rate and task.remaining is not None:
            words.append(f"{_clock(task.remaining / rate)} left")
        progress.console.print(", ".join(words), highlight=False)


def _clock(seconds: float | None) -> timedelta:
    return timedelta(seconds=round(seconds or 0))


@contextmanager
def stage(
    trainer: Trainer, description: str, *, total: int, each: int | None = None
) -> Iterator[Callable[[int], None]]:
    """`PathProgressBar.stage` of the Trainer's bar; nothing where it has another or none."""
    bar = trainer.progress_bar_callback
    if isinstance(bar, PathProgressBar):
        with bar.stage(description, total=total, each=each) as advance:
            yield advance
    else:
        yield lambda _: None
