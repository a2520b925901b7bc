"""What the callbacks refuse before work starts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.model_helpers import is_overridden

from nplight.callbacks.run_folders import run_folder
from nplight.data import check_each_once, shuffles
from nplight.errors import ArgumentError, RunFolderError, listed
from nplight.processes import on_first_process

SHARDING = ("FSDPStrategy", "ModelParallelStrategy", "DeepSpeedStrategy")
"""Strategies under which no process has the whole model."""


def refuse_sharded(trainer: Trainer) -> None:
    """Refuse a strategy that spreads the weights of the model over processes.

    Raises:
        ArgumentError: naming it.
    """
    names = {cls.__name__ for cls in type(trainer.strategy).__mro__}
    if found := next((name for name in SHARDING if name in names), None):
        raise ArgumentError(
            f"`strategy` must leave the whole model in every process, to edit single neurons, but {found} spreads its "
            f"weights; use strategy='ddp'"
        )


def check_loaders(trainer: Trainer, loaders: Any, name: str) -> None:
    """Refuse loaders that give images twice or leave some out.

    Args:
        trainer: whose processes share the images.
        loaders: a loader, or several in order.
        name: of the loaders, for people.

    Raises:
        ArgumentError: naming the loader.
    """
    several = isinstance(loaders, (list, tuple))
    for number, loader in enumerate(loaders if several else [loaders]):
        check_each_once(loader, trainer.world_size, f"{name} {number + 1}" if several else name)


def check_validation_loaders(trainer: Trainer, callback: Callback, *, held_out: bool) -> None:
    """Refuse validation loaders other than the discover and the held-out split.

    Args:
        trainer: whose loaders they are.
        callback: that reads them.
        held_out: whether it needs the second.

    Raises:
        ArgumentError: naming the callback.
    """
    count, name = len(trainer.num_val_batches), type(callback).__name__
    if held_out and count < 2:
        raise ArgumentError(f"{name} needs two validation loaders, the discover and the held-out split, got one")
    if count > 2:
        raise ArgumentError(
            f"{name} takes two validation loaders, the discover and the held-out split, got {count}; "
            f"pass dataloaders=[discover, held_out]"
        )


def refuse_endless(trainer: Trainer) -> None:
    """Refuse a first validation loader without an end.

    Raises:
        ArgumentError: it has no length.
    """
    if math.isinf(trainer.num_val_batches[0]):
        raise ArgumentError(
            "the first validation loader must have a length, at whose end category paths are formed; "
            "give its data set a __len__, or set limit_val_batches to a number"
        )


def warn_never_searched(every_n_epochs: int | None) -> None:
    """Warn that a training has ended of which no epoch was searched."""
    rank_zero_warn(
        f"no epoch of this training was searched: `every_n_epochs` is {every_n_epochs}, and the training "
        f"validated in none of these epochs; train longer, or lower it"
    )


def refuse_shuffled(trainer: Trainer) -> None:
    """Refuse images without an `index` from a loader that shuffles: their numbers would be those of one order.

    Raises:
        ArgumentError: naming the loader.
    """
    predicting = trainer.state.fn == TrainerFn.PREDICTING
    loaders: Any = trainer.predict_dataloaders if predicting else trainer.val_dataloaders
    loader = loaders[0] if isinstance(loaders, (list, tuple)) else loaders
    if shuffles(loader):
        raise ArgumentError(
            f"the {'predict' if predicting else 'first validation'} loader shuffles its images, and its batches carry "
            f"no `index` to know them by; give it shuffle=False, or samples with an `index`: (image, label, index)"
        )


def refuse_unvalidated(trainer: Trainer) -> None:
    """Refuse a `fit` in which nothing is validated.

    Raises:
        ArgumentError: saying why it is not.
    """
    if trainer.enable_validation:
        return
    if not is_overridden("validation_step", trainer.lightning_module):
        reason = "the module has no `validation_step`; give it one, which may do nothing"
    elif trainer.limit_val_batches == 0:
        reason = "`limit_val_batches` is 0; raise it"
    else:
        reason = "it has no validation loaders; give trainer.fit the discover and the held-out loader"
    raise ArgumentError(f"`every_n_epochs` searches in the validation of `fit`, but {reason}")


def refuse_other_training(trainer: Trainer, run_dir: str | Path | None, *, overwrite: bool) -> None:
    """Refuse epochs that another training left; one that goes on from a checkpoint writes those after it anew.

    Every process must call it.

    Raises:
        RunFolderError: naming the folder.
    """
    folder = run_folder(trainer, run_dir)

    def check() -> None:
        left = sorted(path.name for path in folder.path.glob("epoch-*"))
        if left and not overwrite and trainer.ckpt_path is None:
            raise RunFolderError(
                f"`run_dir` {folder.path} already holds paths of another training ({listed(left)}); "
                f"name another run_dir, go on from its checkpoint, or replace them with overwrite"
            )

    on_first_process(check)


def refuse_idle(trainer: Trainer, callback: Callback) -> None:
    """Refuse that `validate`, `test` or `predict` had no images, which Lightning passes over.

    Raises:
        ArgumentError: naming the callback.
    """
    names = {TrainerFn.VALIDATING: "val", TrainerFn.TESTING: "test", TrainerFn.PREDICTING: "predict"}
    name = names.get(cast(TrainerFn, trainer.state.fn))
    if name is not None:
        raise ArgumentError(
            f"{type(callback).__name__} got no images: the loaders are empty, or `limit_{name}_batches` is 0; "
            f"give it some"
        )
