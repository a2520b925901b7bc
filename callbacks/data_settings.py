"""What of a Trainer's data the results depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from lightning.fabric.utilities.data import sized_len
from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn

from nplight.data import PathDataModule, Shard


def data_identity(trainer: Trainer) -> dict[str, Any]:
    """What tells the data from others, where the Trainer has a data module of nplight's."""
    data = getattr(trainer, "datamodule", None)
    return data.identity() if isinstance(data, PathDataModule) else {}


def data_shard(trainer: Trainer) -> Shard | None:
    """The share of the images that the run has, where the Trainer has a data module of nplight's."""
    data = getattr(trainer, "datamodule", None)
    return data.shard if isinstance(data, PathDataModule) else None


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
    owners = (loader, getattr(loader, "batch_sampler", None))
    sizes = (getattr(owner, "batch_size", None) for owner in owners)
    size = next((size for size in sizes if size), None)
    batches = f"{count} batch{'' if count == 1 else 'es'}" + (f" of {size} images" if size else "")
    return f"{batches} on {processes} process{'' if processes == 1 else 'es'}"
