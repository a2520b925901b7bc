"""Where the results of a Trainer's run go."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn

from nplight.store import RunFolder


def fitting(trainer: Trainer) -> bool:
    """Whether the Trainer runs `fit`."""
    return trainer.state.fn == TrainerFn.FITTING


def run_folder(trainer: Trainer, run_dir: str | Path | None) -> RunFolder:
    """The run folder that was asked for, or `neuron_paths/` in the logger's folder; every process must call it."""
    if run_dir is not None:
        return RunFolder(run_dir)
    return RunFolder(Path(trainer.log_dir or trainer.default_root_dir) / "neuron_paths")


def results_folder(trainer: Trainer, run_dir: str | Path | None) -> RunFolder:
    """The run folder, or in `fit` that of the epoch inside it; every process must call it."""
    run = run_folder(trainer, run_dir)
    return RunFolder(run.path / f"epoch-{trainer.current_epoch:04d}") if fitting(trainer) else run
