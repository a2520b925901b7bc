"""A progress bar that counts images."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.trainer.states import TrainerFn
from rich.progress import ProgressColumn, Task
from rich.text import Text


class PathProgressBar(RichProgressBar):
    """Lightning's rich progress bar with images/s in place of batches/s, beside the time left."""

    @property
    def validation_description(self) -> str:
        """What `validate` does at the moment; Lightning's own word in `fit`."""
        if self.trainer.state.fn != TrainerFn.VALIDATING:
            return super().validation_description
        return ("Searching paths", "Testing paths")[min(self._current_eval_dataloader_idx or 0, 1)]

    def configure_columns(self, trainer: Trainer) -> list[Any]:
        """Lightning's columns, the speed in images."""
        *columns, _ = super().configure_columns(trainer)
        return [*columns, _ImagesPerSecond(self)]

    def images_a_batch(self) -> int:
        """Images that all processes together handle between two ticks of the bar."""
        trainer = self.trainer
        loaders = {
            TrainerFn.FITTING: trainer.train_dataloader,
            TrainerFn.VALIDATING: trainer.val_dataloaders,
            TrainerFn.TESTING: trainer.test_dataloaders,
            TrainerFn.PREDICTING: trainer.predict_dataloaders,
        }
        loader: Any = None if trainer.state.fn is None else loaders[trainer.state.fn]
        if isinstance(loader, (list, tuple)):
            loader = loader[self._current_eval_dataloader_idx or 0]
        return (getattr(loader, "batch_size", None) or 1) * trainer.world_size


class _ImagesPerSecond(ProgressColumn):
    def __init__(self, bar: PathProgressBar) -> None:
        super().__init__()
        self._bar = bar

    def render(self, task: Task) -> Text:
        # A task keeps its mean speed once it has ended.
        speed = task.finished_speed or task.speed or 0
        return Text(f"{speed * self._bar.images_a_batch():.1f} images/s")
