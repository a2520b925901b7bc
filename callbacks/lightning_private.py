"""Private names of Lightning and of torch, each with its reason; tried with lightning 2.6 and torch 2.15."""

from __future__ import annotations

import copy
import signal
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from rich.progress import Progress, TaskID
from torch import distributed
from torch.utils.data import DataLoader


def set_sigterm_received(trainer: Trainer) -> None:
    """Set the flag that Lightning's loops look at between batches; its public view is read-only."""
    connector: Any = trainer._signal_connector
    connector.received_sigterm = True


def sigterm_handlers(trainer: Trainer) -> list[Callable[..., Any]]:
    """The handlers of SIGTERM that Lightning composed, without the one that calls a collective inside a handler."""
    notifier = trainer._signal_connector._sigterm_notifier_fn
    handlers = getattr(signal.getsignal(signal.SIGTERM), "signal_handlers", ())
    return [handler for handler in handlers if handler != notifier and callable(handler)]


def process_group_store() -> Any:
    """The store that brought the processes together; torch has no public name for it."""
    return distributed.distributed_c10d._get_default_store()


def before_transfer(pl_module: LightningModule, batch: Any) -> Any:
    """The hook `on_before_batch_transfer` of the module or its data module, whichever Lightning has chosen."""
    return pl_module._on_before_batch_transfer(batch, dataloader_idx=0)


def another_iteration(loader: Any) -> Any:
    """A loader of the same data: persistent workers serve one iteration at a time, which may be Lightning's."""
    if not isinstance(loader, DataLoader):
        return loader
    loader = copy.copy(loader)
    loader._iterator = None
    return loader


def set_up_validation(trainer: Trainer) -> None:
    """Make the validation loaders of `fit`, which Lightning does only before the first validation, if there is one."""
    if trainer.enable_validation and trainer.val_dataloaders is None:
        trainer.validating = True
        trainer.fit_loop.epoch_loop.val_loop.setup_data()
        trainer.training = True


class OpenProgressBar(RichProgressBar):
    """Lightning's rich progress bar, whose bars for stages outside its loops have no public names."""

    @abstractmethod
    def started(self, progress: Progress) -> None:
        """The display has been made."""

    @abstractmethod
    def updated(self, progress: Progress, task: TaskID) -> None:
        """A task has moved on."""

    @property
    def loader_number(self) -> int:
        """The number of the loader that Lightning goes through."""
        return self._current_eval_dataloader_idx or 0

    def new_task(self, description: str, total: int) -> tuple[Progress, TaskID] | None:
        """A bar for work outside Lightning's loops; `None` where the progress bar is disabled."""
        self._init_progress(self.trainer)
        return None if self.progress is None else (self.progress, self._add_task(total, description))

    def set_done(self, task: TaskID, done: int) -> None:
        """Move a bar."""
        self._update(task, done)

    def _init_progress(self, trainer: Trainer) -> None:
        super()._init_progress(trainer)
        if self.progress is not None:
            self.started(self.progress)

    def _update(self, progress_bar_id: TaskID | None, current: int, *settings: Any, **named: Any) -> None:
        super()._update(progress_bar_id, current, *settings, **named)  # Lightning 2.5.0 has one setting fewer
        if self.progress is not None and progress_bar_id is not None:
            self.updated(self.progress, progress_bar_id)
