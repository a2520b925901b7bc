from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.trainer.states import TrainerFn
from torch.utils.data import DataLoader

from nplight.callbacks import NeuronPathSearch, PathEvaluation
from nplight.callbacks.run_folders import fitting, results_folder, run_folder
from tests.callbacks.foreign_project import OPTIONS, Foreign, make_trainer, validate
from tests.conftest import Reference


def test_results_go_to_the_loggers_folder_unless_told(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    logger = CSVLogger(tmp_path, name="mine", version="7")
    trainer = make_trainer(NeuronPathSearch(**OPTIONS), PathEvaluation(fractions=(1.0,)), logger=logger)
    trainer.validate(Foreign(reference.model), loaders, verbose=False)
    assert (tmp_path / "mine" / "7" / "neuron_paths" / "metrics.json").exists()
    logger.save()
    assert "paths/kept/4_pruned_100%/accuracy" in (tmp_path / "mine" / "7" / "metrics.csv").read_text()


class Silent(Logger):
    """A logger without a folder, an experiment or a version."""

    def __init__(self) -> None:
        super().__init__()
        self.logged: dict[str, float] = {}

    @property
    def name(self) -> None:
        return None

    @property
    def version(self) -> None:
        return None

    def log_hyperparams(self, *_: Any, **__: Any) -> None: ...

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.logged |= metrics


@pytest.mark.parametrize("kind", ["none", "silent", "two"])
def test_any_logger_will_do(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    silent, csv = Silent(), CSVLogger(tmp_path / "logs")
    logger: Any = {"none": False, "silent": silent, "two": [csv, silent]}[kind]
    search, evaluation = NeuronPathSearch(**OPTIONS), PathEvaluation(fractions=(1.0,), replicates=5)
    validate(Foreign(reference.model), loaders, search, evaluation, logger=logger)
    assert evaluation.results
    assert ("paths/clean/accuracy" in silent.logged) == (kind != "none")
    assert (search.run.path / "metrics.json").exists()


def test_fit_has_a_folder_per_epoch_and_other_commands_have_one(tmp_path: Path) -> None:
    trainer: Any = SimpleNamespace(
        state=SimpleNamespace(fn=TrainerFn.VALIDATING), current_epoch=7, log_dir=None, default_root_dir=str(tmp_path)
    )
    assert not fitting(trainer)
    assert run_folder(trainer, None).path == tmp_path / "neuron_paths"
    assert results_folder(trainer, tmp_path / "run").path == tmp_path / "run"
    trainer.state.fn = TrainerFn.FITTING
    assert fitting(trainer)
    assert results_folder(trainer, str(tmp_path / "run")).path == tmp_path / "run" / "epoch-0007"
    assert run_folder(trainer, tmp_path / "run").path == tmp_path / "run"
