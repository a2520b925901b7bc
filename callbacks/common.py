"""What the callbacks share: where results go, what they refuse, and work for the first process alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from lightning.fabric.utilities.data import sized_len
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.model_helpers import is_overridden

from nplight.data import ImageDigest, PathDataModule, check_each_once, shuffles
from nplight.errors import ArgumentError, NplightError
from nplight.store import RunFolder

Result = TypeVar("Result")

SHARDING = ("FSDPStrategy", "ModelParallelStrategy", "DeepSpeedStrategy")
"""Strategies under which no process has the whole model."""


def run_folder(trainer: Trainer, run_dir: str | Path | None) -> RunFolder:
    """The run folder that was asked for, or `neuron_paths/` in the logger's folder; every process must call it."""
    if run_dir is not None:
        return RunFolder(run_dir)
    return RunFolder(Path(trainer.log_dir or trainer.default_root_dir) / "neuron_paths")


def results_folder(trainer: Trainer, run_dir: str | Path | None) -> RunFolder:
    """The run folder, or in `fit` that of the epoch inside it; every process must call it."""
    run = run_folder(trainer, run_dir)
    return RunFolder(run.path / f"epoch-{trainer.current_epoch:04d}") if fitting(trainer) else run


def data_identity(trainer: Trainer) -> dict[str, Any]:
    """What tells the data from others, where the Trainer has a data module of nplight's."""
    data = getattr(trainer, "datamodule", None)
    return data.identity() if isinstance(data, PathDataModule) else {}


def data_limit(trainer: Trainer, part: slice) -> dict[str, Any]:
    """What of the Trainer's settings keeps images from a run, if any does; every loop must have started.

    `limit_val_batches` and the like, also as `fast_dev_run` and `overfit_batches` set them.

    Args:
        trainer: in the loop.
        part: of the loop's loaders.
    """
    loop = {TrainerFn.TESTING: "test", TrainerFn.PREDICTING: "predict"}.get(cast(TrainerFn, trainer.state.fn), "val")
    loaders: Any = getattr(trainer, f"{loop}_dataloaders")
    if isinstance(loaders, Mapping):
        loaders = list(loaders.values())
    several = loaders if isinstance(loaders, (list, tuple)) else [loaders]
    counts = getattr(trainer, f"num_{loop}_batches")
    pairs = list(zip(several, counts))[part]
    if all(count >= _batches(loader) for loader, count in pairs):
        return {}
    limits = [_limit(loader, count, trainer.world_size) for loader, count in pairs]
    return {f"limit_{loop}_batches": ", ".join(dict.fromkeys(limits))}


def _batches(loader: Any) -> float:
    length = sized_len(loader)
    return float("inf") if length is None else length


def _limit(loader: Any, count: float, processes: int) -> str:
    """As `3 batches of 64 images on 2 processes`: of other batches it would be other images."""
    sizes = (getattr(one, "batch_size", None) for one in (loader, getattr(loader, "batch_sampler", None)))
    size = next((size for size in sizes if size), None)
    batches = f"{count} batch{'' if count == 1 else 'es'}" + (f" of {size} images" if size else "")
    return f"{batches} on {processes} process{'' if processes == 1 else 'es'}"


def over_processes(trainer: Trainer, images: ImageDigest) -> ImageDigest:
    """The digest of every process's images together; every process must call it."""
    if trainer.world_size == 1:
        return images
    shares = [ImageDigest() for _ in range(trainer.world_size)]
    torch.distributed.all_gather_object(shares, images)
    return sum(shares, ImageDigest())


def claim_held_out(run: RunFolder, images: ImageDigest) -> None:
    """Settle which held-out images the results are of, before any is written; for one process alone.

    Raises:
        RunFolderError: the folder holds results of others.
    """
    run.claim("evaluation images", {"held_out_images": str(images)})


def fitting(trainer: Trainer) -> bool:
    """Whether the Trainer runs `fit`."""
    return trainer.state.fn == TrainerFn.FITTING


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


def refuse_idle(trainer: Trainer, callback: Callback, started: bool) -> None:
    """Refuse that a run of `validate`, `test` or `predict` ends before it has started, for Lightning passes over it.

    Raises:
        ArgumentError: naming the callback.
    """
    names = {TrainerFn.VALIDATING: "val", TrainerFn.TESTING: "test", TrainerFn.PREDICTING: "predict"}
    name = names.get(cast(TrainerFn, trainer.state.fn))
    if name is not None and not started:
        raise ArgumentError(
            f"{type(callback).__name__} got no images: the loaders are empty, or `limit_{name}_batches` is 0; "
            f"give it some"
        )


def refuse_no_images(callback: Callback, images: ImageDigest) -> None:
    """Refuse to measure anything where no process has an image.

    Raises:
        ArgumentError: naming the callback.
    """
    if images.images == 0:
        raise ArgumentError(
            f"{type(callback).__name__} must be given images to test paths with, but the loader gave none"
        )


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


def for_pytorch_lightning(*callbacks: Callback) -> list[Any]:
    """The same callbacks, made fit for a Trainer of the `pytorch_lightning` package.

    That package and `lightning.pytorch` are twins whose Trainers know only callbacks of their own.

    Args:
        callbacks: instances of nplight's.

    Returns:
        Them, of classes that derive from `pytorch_lightning.Callback` too.
    """
    import pytorch_lightning  # here, as it takes seconds that only its users should spend

    for callback in callbacks:
        kind = type(callback)
        names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
        callback.__class__ = type(kind.__name__, (kind, pytorch_lightning.Callback), names)
    return list(callbacks)
