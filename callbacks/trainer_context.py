"""What a run must know of the Trainer that drives it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from nplight.callbacks.data_settings import data_limit, data_shard
from nplight.callbacks.discover_pass import Reader, discover_pass
from nplight.runs import RunContext


def trainer_context(
    trainer: Trainer,
    pl_module: LightningModule,
    read: Reader,
    *,
    loader: int,
    identity: Mapping[str, Any] | None = None,
) -> RunContext:
    """The surroundings of a run in the current loop.

    Args:
        trainer: in its loop.
        pl_module: the module.
        read: reads a batch of the loop.
        loader: the validation loader whose images the results are of; in other loops they are of all.
        identity: of the data, where the results depend on it.
    """
    validating = trainer.state.fn in (TrainerFn.VALIDATING, TrainerFn.FITTING)
    loaders = slice(loader, loader + 1) if validating else slice(None)
    return RunContext(
        discover_pass=partial(discover_pass, trainer, pl_module, read) if validating else None,
        forward_context=trainer.precision_plugin.forward_context,
        precision=str(trainer.precision),
        data={**(identity or {}), **data_limit(trainer, loaders)},
        skipped=getattr(getattr(trainer, "datamodule", None), "skipped", ()),
        shard=data_shard(trainer),
    )
