"""What the callbacks share that measure a sample of the discover images in `validate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import rich
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from rich.console import RenderableType

from nplight.callbacks.ending import check_sigterm
from nplight.callbacks.path_search import NeuronPathSearch
from nplight.callbacks.progress import stage
from nplight.callbacks.run_callback import RunCallback
from nplight.callbacks.siblings import search_of
from nplight.errors import ArgumentError
from nplight.runs.sampled_run import SampledRun

AnySampledRun = TypeVar("AnySampledRun", bound=SampledRun)


class SampleCallback(RunCallback[AnySampledRun]):
    """A callback that measures a sample of the first validation loader's images, once all have been searched.

    Attributes:
        result: the content of the file, once the run has ended.
    """

    loader = 0
    purpose: ClassVar[str]
    """What the progress bar says."""

    result: dict[str, Any]

    def follows(self, trainer: Trainer) -> bool:
        return trainer.state.fn == TrainerFn.VALIDATING

    works = follows

    def watches(self, trainer: Trainer) -> bool:
        return False  # the search watches

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        self.result = {}
        if self.follows(trainer):
            self.search(trainer)

    def conclude(self, trainer: Trainer, pl_module: LightningModule, run: AnySampledRun) -> None:
        @contextmanager
        def progress(total: int) -> Iterator[Callable[[int], None]]:
            with stage(trainer, self.purpose, total=total, each=1) as advance:

                def advanced(images: int) -> None:
                    advance(images)
                    check_sigterm(trainer)

                yield advanced

        self.result = run.conclude(progress)
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.log_metrics(self.scalars(self.result), step=trainer.global_step)
            for table in self.tables(self.result):
                rich.get_console().print(table)

    def tables(self, result: dict[str, Any]) -> list[RenderableType]:
        """What is printed."""
        raise NotImplementedError

    def scalars(self, result: dict[str, Any]) -> dict[str, float]:
        """What loggers get."""
        raise NotImplementedError

    def search(self, trainer: Trainer) -> NeuronPathSearch:
        """The search of the same Trainer.

        Raises:
            ArgumentError: there is none.
        """
        search = search_of(trainer, self)
        if search is None:
            raise ArgumentError(
                f"{type(self).__name__} needs a NeuronPathSearch in the same Trainer, whose paths it tests"
            )
        return search
