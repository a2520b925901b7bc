"""What the callbacks share: where results go, and work for the first process alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from lightning.pytorch import Trainer

from nplight.errors import NplightError
from nplight.store import RunFolder

Result = TypeVar("Result")


def run_folder(trainer: Trainer, run_dir: str | Path | None) -> RunFolder:
    """The run folder that was asked for, or `neuron_paths/` in the logger's folder; every process must call it."""
    if run_dir is not None:
        return RunFolder(run_dir)
    return RunFolder(Path(trainer.log_dir or trainer.default_root_dir) / "neuron_paths")


def on_first_process(trainer: Trainer, work: Callable[[], Result]) -> Result:
    """Do something once and give every process its result, or its refusal: none is left waiting."""
    outcome: Result | NplightError | None = None
    if trainer.is_global_zero:
        try:
            outcome = work()
        except NplightError as error:
            outcome = error
    outcome = trainer.strategy.broadcast(outcome)
    if isinstance(outcome, NplightError):
        raise outcome
    return cast(Result, outcome)
