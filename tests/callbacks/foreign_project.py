"""A project that has never heard of nplight, the callbacks in it, and what they leave in a run folder."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathSelectivity
from tests.conftest import Reference

OPTIONS: dict[str, Any] = {"steps": 3, "kept": (1, 4), "chunk_size": 16}
LIGHTNING_WARNS = pytest.mark.filterwarnings(
    "ignore:.*has shuffling enabled",
    "ignore:Total length of .* is zero",
    "ignore:.*Skipping val loop",
    "ignore:.*in eval mode",
)
"""For loaders that Lightning itself warns of."""


class Foreign(LightningModule):
    """A module that has never heard of nplight."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict({"network": network})

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        pass

    def test_step(self, batch: Any, batch_idx: int) -> None:
        pass

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        images = batch if isinstance(batch, Tensor) else batch[0]
        return self.backbone["network"](images)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self.backbone["network"](batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1e-3)


class Two(Foreign):
    """Two models side by side, a teacher and a student, say."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        self.teacher = copy.deepcopy(network)
        with torch.no_grad():
            self.teacher.head.bias[0] += 1


def make_loaders(reference: Reference) -> list[DataLoader[Any]]:
    """Half of each category's images to discover, half held out, in batches that do not divide them."""
    data = TensorDataset(reference.images, reference.labels, torch.arange(80) + 100)
    discover = [index for index in range(80) if index % 8 < 4]
    held_out = [index for index in range(80) if index % 8 >= 4]
    return [DataLoader(Subset(data, part), batch_size=7) for part in (discover, held_out)]


class _OwnShare(torch.utils.data.Sampler[int]):
    """Each process its share of unequal length, none padded."""

    def __init__(self, length: int) -> None:
        self._length = length

    def _share(self) -> range:
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        return range(0, 23) if rank == 0 else range(23, self._length)

    def __iter__(self) -> Iterator[int]:
        return iter(self._share())

    def __len__(self) -> int:
        return len(self._share())


def shared_by_two(loader: DataLoader[Any]) -> DataLoader[Any]:
    """The same images for two processes, in unequal shares."""
    return DataLoader(loader.dataset, batch_size=7, sampler=_OwnShare(len(loader.dataset)))


def make_trainer(*callbacks: Any, **options: Any) -> Trainer:
    """On one CPU, without loggers and a progress bar, unless the options say otherwise."""
    settings = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "devices": 1}
    return Trainer(
        callbacks=list(callbacks),
        enable_model_summary=False,
        enable_checkpointing=False,
        **{**settings, **options},
    )


def all_callbacks(run: Path, **options: Any) -> list[Any]:
    return [
        NeuronPathSearch(run_dir=run, **OPTIONS, **options),
        PathEvaluation(run_dir=run, fractions=(1.0,), replicates=5, draws=2, **options),
        PathSelectivity(run_dir=run, replicates=5, **options),
    ]


def search_and_evaluation(run: Path, **options: Any) -> list[Any]:
    return all_callbacks(run, **options)[:2]


def validate(module: LightningModule, loaders: Any, *callbacks: Callback, **options: Any) -> None:
    make_trainer(*callbacks, **options).validate(module, loaders, verbose=False)


class Stop(Callback):
    """Ends a run after some batches."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def on_validation_batch_end(self, *arguments: Any, **_: Any) -> None:
        if arguments[4] + 1 == self.batches:
            raise KeyError("stopped")


def search_and_evaluate(
    reference: Reference,
    loaders: list[DataLoader[Any]],
    folder: Path,
    stop: Stop | None = None,
    **options: Any,
) -> tuple[NeuronPathSearch, PathEvaluation]:
    """A `validate` on the reference model; the callbacks, with their results."""
    search = NeuronPathSearch(run_dir=folder, **OPTIONS)
    evaluation = PathEvaluation(run_dir=folder, fractions=(0.3, 1.0), draws=4)
    callbacks = [search, evaluation, *([] if stop is None else [stop])]
    make_trainer(*callbacks, **options).validate(Foreign(reference.model), loaders, verbose=False)
    return search, evaluation


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file, by its path in the folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def results(folder: Path) -> dict[str, Any]:
    """The contents, but for the order of the settings' sections, which tells only what came first."""
    files = contents(folder)
    return {**files, "settings.json": json.loads(files["settings.json"])}
