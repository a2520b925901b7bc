"""Paths of a model that learns: searched while it trains, without changing a bit of the training."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint, StochasticWeightAveraging, WeightAveraging
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_avg_fn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import nplight
from nplight.callbacks import NeuronPathSearch, PathEvaluation
from nplight.errors import ArgumentError, RunFolderError
from nplight.store import RunFolder
from nplight.vit import fingerprint
from tests.callbacks.foreign_project import contents, results
from tests.conftest import make_vit

CATEGORIES = 3


class Learner(LightningModule):
    """A module that has never heard of nplight, with dropout and noise from the global random state."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.network = make_vit(num_classes=CATEGORIES, drop_rate=0.2, depth=2).to(dtype).train()
        self.losses: list[float] = []

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        images, labels = batch[:2]
        loss = nn.functional.cross_entropy(self.network(images + 0.1 * torch.randn_like(images)), labels)
        self.losses.append(loss.item())
        return loss

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.log("accuracy", (self.network(batch[0]).argmax(1) == batch[1]).double().mean(), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


class Noisy(Dataset[Any]):
    """Images that are never twice the same, as with augmentation."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        return self.images[number] + 0.01 * torch.randn(()), self.labels[number]


def data(
    dtype: torch.dtype = torch.float64, *, own_generator: bool = True
) -> tuple[DataLoader[Any], list[DataLoader[Any]]]:
    draw = torch.Generator().manual_seed(3)
    images = torch.randn(24, 3, 8, 8, generator=draw, dtype=torch.float64).to(dtype)
    labels = torch.arange(24) % CATEGORIES
    shared = torch.Generator().manual_seed(4) if own_generator else None
    train = DataLoader(Noisy(images, labels), batch_size=5, shuffle=True, generator=shared)
    discover = TensorDataset(images[:12], labels[:12], torch.arange(12))
    held_out = TensorDataset(images[12:], labels[12:], torch.arange(12, 24))
    # The generator that shuffles the training images serves the discover loader too.
    return train, [DataLoader(discover, batch_size=5, generator=shared), DataLoader(held_out, batch_size=5)]


def paths(run: Path, **options: Any) -> list[Callback]:
    """With methods and a fill that go over the discover images again."""
    methods: list[Any] = ["jas", "random", {"name": "jointly", "method": "jas", "granularity": "category"}]
    search = NeuronPathSearch(
        run_dir=run, methods=methods, **{"steps": 2, "kept": (2,), "every_n_epochs": 1, **options}
    )
    return [search, PathEvaluation(run_dir=run, fractions=(0.5,), fill="resample", replicates=5, draws=2)]


def fit(
    *callbacks: Callback,
    ckpt_path: Path | None = None,
    dtype: torch.dtype = torch.float64,
    own_generator: bool = True,
    **options: Any,
) -> Any:
    """Train, and tell everything the training has come to."""
    seed_everything(1, verbose=False)
    module = Learner(dtype)
    settings = {"max_epochs": 3, "accelerator": "cpu", "devices": 1, "logger": False, "enable_progress_bar": False}
    trainer = Trainer(
        callbacks=list(callbacks),
        enable_model_summary=False,
        **{
            "enable_checkpointing": any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
            **settings,
            **options,
        },
    )
    trainer.fit(
        module,
        *data(dtype, own_generator=own_generator),
        ckpt_path=ckpt_path,
        weights_only=False if ckpt_path else None,
    )
    state = {name: value.clone() for name, value in module.state_dict().items()}
    return module.losses, state, (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()), trainer


def assert_bit_for_bit(one: Any, other: Any) -> None:
    assert one[0] == other[0]
    assert all(torch.equal(one[1][name], other[1][name]) for name in one[1])
    assert torch.equal(one[2][0], other[2][0])
    assert one[2][1:] == other[2][1:]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"own_generator": False},
        {"accumulate_grad_batches": 2, "gradient_clip_val": 0.5},
        {"precision": "bf16-mixed", "dtype": torch.float32},
        {"inference_mode": False, "num_sanity_val_steps": 0},
        {"val_check_interval": 2},
    ],
)
@pytest.mark.filterwarnings("ignore:.*num_workers")
def test_training_is_the_same_with_the_callbacks_and_without(tmp_path: Path, options: dict[str, Any]) -> None:
    plain = fit(**options)
    watched = fit(*paths(tmp_path), **options)
    assert_bit_for_bit(plain, watched)
    assert len(plain[0]) == 15
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-0000", "epoch-0001", "epoch-0002"]
    assert all((tmp_path / f"epoch-000{epoch}" / "metrics.json").exists() for epoch in range(3))


class Weights(Callback):
    """What the model weighs in each epoch's validation loop."""

    def __init__(self) -> None:
        self.seen: dict[int, str] = {}

    def on_validation_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any, **__: Any) -> None:
        if not trainer.sanity_checking:
            self.seen[trainer.current_epoch] = fingerprint(pl_module.network)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "averaging",
    [lambda: WeightAveraging(avg_fn=get_ema_avg_fn(0.5)), lambda: StochasticWeightAveraging(1e-3, swa_epoch_start=1)],
    ids=["ema", "swa"],
)
def test_what_is_searched_is_what_is_validated_also_averaged_weights(
    tmp_path: Path, averaging: Callable[[], Callback], first: bool
) -> None:
    plain = fit(averaging())
    weights = Weights()
    around = paths(tmp_path)
    callbacks = [averaging(), *around, weights] if first else [*around, averaging(), weights]
    assert_bit_for_bit(plain, fit(*callbacks))
    for epoch, seen in weights.seen.items():
        settings = RunFolder(tmp_path / f"epoch-{epoch:04d}").settings()
        assert settings["search"]["model"] == settings["evaluation"]["model"] == seen
    assert len(set(weights.seen.values())) == 3


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")
def test_an_epoch_holds_what_validate_finds_with_its_weights(tmp_path: Path) -> None:
    keep = ModelCheckpoint(dirpath=tmp_path / "checkpoints", filename="{epoch}", save_top_k=-1)
    fit(*paths(tmp_path / "fit", every_n_epochs=2), keep, max_epochs=4)
    assert sorted(path.name for path in (tmp_path / "fit").iterdir()) == ["epoch-0001", "epoch-0003"]
    for epoch in (1, 3):
        callbacks = paths(tmp_path / f"{epoch}")
        options = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
        trainer = Trainer(callbacks=callbacks, accelerator="cpu", devices=1, **options)
        checkpoint = tmp_path / "checkpoints" / f"epoch={epoch}.ckpt"
        trainer.validate(Learner(), data()[1], ckpt_path=checkpoint, verbose=False, weights_only=False)
        assert results(tmp_path / f"{epoch}") == results(tmp_path / "fit" / f"epoch-000{epoch}")
    first, last = (nplight.read_paths(tmp_path / "fit" / f"epoch-000{epoch}") for epoch in (1, 3))
    assert not torch.equal(first["score"], last["score"])


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_a_training_that_goes_on_from_a_checkpoint_gives_what_one_that_did_not_stop_gives(tmp_path: Path) -> None:
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    fit(*paths(whole), max_epochs=3, num_sanity_val_steps=0)
    for epochs in (2, 3):
        keep = ModelCheckpoint(dirpath=tmp_path / "checkpoints", save_last=True)
        last = tmp_path / "checkpoints" / "last.ckpt"
        before = contents(parted) if parted.exists() else {}
        trainer = fit(
            *paths(parted), keep, max_epochs=epochs, ckpt_path=last if last.exists() else None, num_sanity_val_steps=0
        )[3]
        assert trainer.callbacks[0].state_dict() == {"epoch": epochs - 1}
    after = contents(parted)
    assert {name: after[name] for name in before} == before
    names = [sorted(nplight.read_paths(run / "epoch-0002")["index"].tolist()) for run in (whole, parted)]
    assert names[0] == names[1]


def test_a_folder_with_epochs_of_another_training_is_refused_at_the_start(tmp_path: Path) -> None:
    fit(*paths(tmp_path), max_epochs=1)
    before = contents(tmp_path)
    with pytest.raises(RunFolderError, match=r"already holds paths of another training \(epoch-0000\)"):
        fit(*paths(tmp_path), max_epochs=1)
    assert contents(tmp_path) == before
    fit(*paths(tmp_path, overwrite=True), max_epochs=1)


def test_what_training_lacks_is_refused_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="`every_n_epochs` must be an integer of at least 1, got 0"):
        NeuronPathSearch(every_n_epochs=0)
    module, (train, (discover, _)) = Learner(), data()
    trainer = Trainer(
        callbacks=paths(tmp_path), accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, max_epochs=1,
        enable_checkpointing=False, enable_model_summary=False,
    )  # fmt: skip
    with pytest.raises(ArgumentError, match="needs two validation loaders"):
        trainer.fit(module, train, discover)
    assert module.losses == []


@pytest.mark.parametrize("devices", [1, 2])
def test_processes_train_and_search_together(tmp_path: Path, devices: int) -> None:
    """A search that goes on while others train would stop here for ever."""
    shared = {} if devices == 1 else {"strategy": "ddp_fork", "devices": devices}
    train, (discover, held_out) = data()
    shares = [
        DataLoader(half.dataset, 5, sampler=nplight.data.EachOnceSampler(half.dataset)) for half in (discover, held_out)
    ]
    trainer = Trainer(
        callbacks=paths(tmp_path), accelerator="cpu", logger=False, enable_progress_bar=False, max_epochs=2,
        enable_checkpointing=False, enable_model_summary=False, **{"devices": 1, **shared},
    )  # fmt: skip
    trainer.fit(Learner(), train, shares)
    assert len(nplight.read_paths(tmp_path / "epoch-0001").where(search="jas")) == 12
