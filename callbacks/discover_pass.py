"""The discover images once more, for what one pass cannot gather."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from nplight.callbacks.ending import check_sigterm
from nplight.callbacks.lightning_private import another_iteration, before_transfer
from nplight.callbacks.progress import stage
from nplight.data import ImageBatch

Reader = Callable[[Any], ImageBatch]


def discover_loader(trainer: Trainer) -> Any:
    """The first validation loader."""
    loaders: Any = trainer.val_dataloaders
    return loaders[0] if isinstance(loaders, (list, tuple)) else loaders


def discover_pass(trainer: Trainer, pl_module: LightningModule, read: Reader, purpose: str) -> Iterator[ImageBatch]:
    """This process's share of the first validation loader, on its device, outside Lightning's own loop.

    Args:
        trainer: in `validate`, or in a validation of `fit`.
        pl_module: the module.
        read: reads a batch of the loader.
        purpose: what the progress bar says.
    """
    loader = another_iteration(discover_loader(trainer))
    batches = int(trainer.num_val_batches[0])
    with _unadvanced(loader), stage(trainer, purpose, total=batches) as advance:
        for batch in itertools.islice(loader, batches):
            converted = trainer.precision_plugin.convert_input(batch)
            prepared = before_transfer(pl_module, converted)
            yield read(trainer.strategy.batch_to_device(prepared, dataloader_idx=0))
            advance(1)
            check_sigterm(trainer)


@contextmanager
def _unadvanced(loader: Any) -> Iterator[None]:
    """Random generators of the loader's own, which its other iterations and other loaders may share, as they were."""
    owners = (loader, getattr(loader, "sampler", None))
    candidates = (getattr(owner, "generator", None) for owner in owners)
    generators = [generator for generator in candidates if isinstance(generator, torch.Generator)]
    states = [generator.get_state() for generator in generators]
    try:
        yield
    finally:
        for generator, state in zip(generators, states):
            generator.set_state(state)
