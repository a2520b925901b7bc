"""Runs of a few random images, and the refusal that changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from nplight.callbacks import NeuronPathSearch, PathEvaluation
from nplight.data import EachOnceSampler
from nplight.errors import RunFolderError
from tests.callbacks.foreign_project import Foreign, contents, make_trainer
from tests.conftest import make_vit

JOINT = {"name": "jointly", "method": "jas", "granularity": "category"}


def images(count: int = 8, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Two images of each of four categories at least, their labels, and their numbers from 10 x `seed` on."""
    pixels = torch.randn(count, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return pixels, torch.arange(count) % 4, torch.arange(count) + 100 * seed


DISCOVER, HELD_OUT = images(), images(4, seed=1)


def loader(columns: tuple[Tensor, ...], batch_size: int = 2, devices: int = 1) -> DataLoader[Any]:
    data = TensorDataset(*columns)
    return DataLoader(data, batch_size=batch_size, sampler=EachOnceSampler(data) if devices > 1 else None)


def validate(
    run: Path,
    discover: tuple[Tensor, ...] = DISCOVER,
    held_out: tuple[Tensor, ...] = HELD_OUT,
    *,
    methods: tuple[Any, ...] = ("activation",),
    batch_size: int = 2,
    overwrite: bool = False,
    **options: Any,
) -> None:
    devices = options.get("devices", 1)
    callbacks = [
        NeuronPathSearch(run_dir=run, methods=list(methods), steps=2, kept=(2,), overwrite=overwrite),
        PathEvaluation(run_dir=run, fractions=(0.5,), replicates=5, draws=2, overwrite=overwrite),
    ]
    loaders = [loader(part, batch_size, devices) for part in (discover, held_out)]
    trainer = make_trainer(*callbacks, **({"strategy": "ddp_fork"} if devices > 1 else {}), **options)
    trainer.validate(Foreign(make_vit(num_classes=4)), loaders, verbose=False)


def refused(run: Path, reason: str, *arguments: Any, **options: Any) -> None:
    before = contents(run)
    with pytest.raises(RunFolderError, match=reason):
        validate(run, *arguments, **options)
    assert contents(run) == before


def swapped(held_out: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    return held_out[0][[1, 0, 2, 3]], *held_out[1:]
