"""The discover images once more, for what one pass cannot gather."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader

from nplight.data import ImageBatch, read_batch


def discover_pass(trainer: Trainer, pl_module: LightningModule) -> Iterator[ImageBatch]:
    """This process's share of the first validation loader, on its device, outside Lightning's own loop."""
    loaders: Any = trainer.val_dataloaders
    loader = loaders[0] if isinstance(loaders, (list, tuple)) else loaders
    if isinstance(loader, DataLoader):
        # Persistent workers serve one iteration at a time, which may be Lightning's.
        loader = copy.copy(loader)
        loader._iterator = None
    for batch in itertools.islice(loader, int(trainer.num_val_batches[0])):
        converted = trainer.precision_plugin.convert_input(batch)
        prepared = pl_module._on_before_batch_transfer(converted, dataloader_idx=0)
        yield read_batch(trainer.strategy.batch_to_device(prepared, dataloader_idx=0))
