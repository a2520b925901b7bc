from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from torch.utils.data import DataLoader

from nplight.callbacks import NeuronPathSearch, PathEvaluation, WeightsExport
from nplight.errors import ArgumentError
from nplight.modules import load_weights
from tests.callbacks.foreign_project import OPTIONS, Foreign, Two, make_trainer
from tests.callbacks.small_runs import DISCOVER, HELD_OUT, loader
from tests.conftest import Reference, make_vit


def test_training_is_left_alone(reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path) -> None:
    search, evaluation = NeuronPathSearch(run_dir=tmp_path / "run"), PathEvaluation(run_dir=tmp_path / "run")
    trainer = make_trainer(search, evaluation, WeightsExport(run_dir=tmp_path / "weights"), max_steps=2)
    trainer.fit(Foreign(reference.model), loaders[0], loaders)
    assert not (tmp_path / "run").exists()
    fresh = make_vit(embed_dim=48, depth=4, num_heads=4, patch_size=2, num_classes=10)
    load_weights(fresh, tmp_path / "weights" / "model.safetensors")
    assert torch.equal(fresh.head.weight, reference.model.head.weight)


def test_weights_are_exported_of_the_vit_that_another_callback_names(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    search = NeuronPathSearch(run_dir=tmp_path, vit="teacher", **OPTIONS)
    trainer = make_trainer(search, WeightsExport(run_dir=tmp_path), max_epochs=1, limit_train_batches=1)
    trainer.fit(Two(reference.model), loaders[0], loaders)
    assert (tmp_path / "model.safetensors").exists()


def test_the_file_says_how_long_the_model_was_trained(tmp_path: Path) -> None:
    export = WeightsExport(run_dir=tmp_path)
    make_trainer(export, max_epochs=2).fit(Foreign(make_vit(num_classes=4).train()), loader(DISCOVER), loader(HELD_OUT))
    with safetensors.safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "epochs": "2", "widths": "[64, 64, 64]"}


def test_nothing_is_written_by_a_trial_run_or_another_command(tmp_path: Path) -> None:
    module = Foreign(make_vit(num_classes=4).train())
    make_trainer(WeightsExport(run_dir=tmp_path), fast_dev_run=1).fit(module, loader(DISCOVER), loader(HELD_OUT))
    make_trainer(WeightsExport(run_dir=tmp_path)).validate(module, loader(HELD_OUT), verbose=False)
    assert list(tmp_path.iterdir()) == []


def test_two_exports_to_one_file_are_refused_before_the_training(tmp_path: Path) -> None:
    module = Foreign(make_vit(num_classes=4))
    exports = [WeightsExport(run_dir=tmp_path), WeightsExport(run_dir=str(tmp_path))]
    with pytest.raises(ArgumentError, match="`run_dir` of each WeightsExport of a Trainer must be its own"):
        make_trainer(*exports, max_epochs=1).fit(module, loader(DISCOVER), loader(HELD_OUT))
    assert list(tmp_path.iterdir()) == []
