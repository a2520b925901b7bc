"""The neural burden, measured while a model is pruned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from safetensors.torch import load_file

from nplight.callbacks import PathBurden
from nplight.errors import ArgumentError
from nplight.pruning import NeuralBurden
from nplight.shrinking.neuron_load import neuron_loads
from tests.callbacks.test_fit import data
from tests.callbacks.test_path_pruning import fit, pruning


def content(folder: Path) -> Any:
    return json.loads((folder / "pruned" / "burden.json").read_text())


def test_without_pruning_it_is_0_and_changes_nothing(tmp_path: Path) -> None:
    plain, _ = fit()
    callback = PathBurden(run_dir=tmp_path, images=7)
    watched, trainer = fit(callback)
    assert plain.losses == watched.losses
    assert all(map(torch.equal, plain.parameters(), watched.parameters()))
    assert [record["burden"] for record in callback.records] == [0, 0, 0]
    assert content(tmp_path)["records"] == callback.records
    assert trainer.callback_metrics["burden/mean"] == trainer.callback_metrics["burden/layer_1"] == 0
    assert {path.name for path in (tmp_path / "pruned").iterdir()} == {
        "burden.html", "burden.json", "loads.safetensors",
    }  # fmt: skip
    assert "<script src=" not in (tmp_path / "pruned" / "burden.html").read_text().replace('charset="utf-8" ', "")


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("reactivate", [False, True])
def test_the_twin_is_the_model_before_its_first_mask(tmp_path: Path, first: bool, reactivate: bool) -> None:
    options: dict[str, Any] = {"schedule": "constant", "begin": 5, "criterion": "random", "reactivate": reactivate}
    watch, prune = PathBurden(run_dir=tmp_path, images=7), pruning(tmp_path, every=100, **options)
    pair: list[Callback] = [watch, prune] if first else [prune, watch]
    module, _ = fit(*pair)
    before, _ = fit(max_epochs=1)
    images = data()[1][0].dataset.tensors[0][:7]  # type: ignore[attr-defined]
    metric = NeuralBurden(module.network, neuron_loads(before.network, [images]), kept=prune.pruner.masks.kept)  # type: ignore[union-attr]
    metric.update(images)
    assert watch.records[0]["burden"] == 0
    assert watch.records[-1]["burden"] == pytest.approx(metric.compute().mean)
    assert watch.records[-1]["pruned"] == 0.5
    assert watch.records[-1]["by_layer"] == pytest.approx(metric.compute().by_layer.tolist())


def test_the_twin_is_a_training_without_pruning(tmp_path: Path) -> None:
    dense, _ = fit(PathBurden(run_dir=tmp_path / "dense", images=7))
    watch, prune = PathBurden(run_dir=tmp_path / "pruned", images=7, twin=tmp_path / "dense"), pruning(tmp_path)
    module, _ = fit(watch, prune)
    images = data()[1][0].dataset.tensors[0][:7]  # type: ignore[attr-defined]
    metric = NeuralBurden(module.network, dense.network, kept=prune.pruner.masks.kept)  # type: ignore[union-attr]
    metric.update(images)
    assert watch.records[-1]["burden"] == pytest.approx(metric.compute().mean)
    unpruned = PathBurden(run_dir=tmp_path / "again", images=7, twin=tmp_path / "dense")
    fit(unpruned, pruning(tmp_path, 0))
    assert [record["burden"] for record in unpruned.records] == [0, 0, 0]


@pytest.mark.filterwarnings("ignore:The dirpath has changed", "ignore:Checkpoint directory")
def test_a_training_that_goes_on_has_the_same_records(tmp_path: Path) -> None:
    def callbacks(folder: str) -> list[Callback]:
        keep = ModelCheckpoint(
            tmp_path / folder / "kept", save_top_k=-1, every_n_epochs=1, save_on_train_epoch_end=True
        )
        options: dict[str, Any] = {"schedule": "constant", "criterion": "magnitude"}
        return [PathBurden(run_dir=tmp_path / folder, images=7), pruning(tmp_path / folder, **options), keep]

    fit(*callbacks("whole"))
    (checkpoint,) = (tmp_path / "whole" / "kept").glob("epoch=0*.ckpt")
    fit(*callbacks("resumed"), ckpt_path=checkpoint)
    assert content(tmp_path / "whole") == content(tmp_path / "resumed")


def test_a_training_that_validates_late_is_measured_and_pruned(tmp_path: Path) -> None:
    callback, late = PathBurden(run_dir=tmp_path, images=7), {"check_val_every_n_epoch": 3, "num_sanity_val_steps": 0}
    plain, _ = fit(**late)
    watched, _ = fit(callback, **late)
    assert plain.losses == watched.losses
    assert len(callback.records) == 3
    fit(pruning(tmp_path, criterion="magnitude"), **late)


@pytest.mark.filterwarnings("ignore:.*Skipping val loop")
def test_a_training_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"PathBurden measures images of the first validation loader, but .* none"):
        fit(PathBurden(run_dir=tmp_path), validated=False)


def test_what_is_no_twin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"`twin` must be 'before' or the run folder .* cannot be read"):
        fit(PathBurden(twin=tmp_path))
    fit(PathBurden(run_dir=tmp_path / "short", images=7), max_epochs=1)
    with pytest.raises(ArgumentError, match="must have the loads of this model's neurons in epoch 1, but has not"):
        fit(PathBurden(run_dir=tmp_path, images=7, twin=tmp_path / "short"), pruning(tmp_path))
    for arguments in ({"images": 0}, {"every_n_epochs": 0}):
        with pytest.raises(ArgumentError, match="must be an integer of at least 1"):
            PathBurden(**arguments)


@pytest.mark.parametrize("images", [1, 7, 100])
def test_two_processes_prune_and_measure_what_one_does(tmp_path: Path, images: int) -> None:
    """The loads before the first mask, the mask and the burden after it, of weights that no step has changed."""
    for devices in (1, 2):
        run, shared = tmp_path / f"{devices}", {} if devices == 1 else {"strategy": "ddp_fork", "devices": devices}
        prune = pruning(run, schedule="constant", criterion="magnitude", images=images)
        fit(Standing(), PathBurden(run_dir=run, images=images), prune, max_epochs=1, limit_train_batches=3, **shared)
    assert content(tmp_path / "1")["records"][0]["burden"] != 0
    for key, value in content(tmp_path / "1")["records"][0].items():
        assert content(tmp_path / "2")["records"][0][key] == pytest.approx(value)
    ones, twos = (load_file(tmp_path / f"{devices}" / "pruned" / "model.safetensors") for devices in (1, 2))
    assert ones.keys() == twos.keys()
    assert all(torch.equal(value, twos[name]) for name, value in ones.items())


class Standing(Callback):
    """Steps that change nothing."""

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        for group in optimizer.param_groups:
            group["lr"] = group["weight_decay"] = 0
