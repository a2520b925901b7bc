from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import Subset

import nplight
from nplight.callbacks import NeuronPathSearch, StrangePaths
from nplight.data import DigitsDataModule, Shard
from nplight.errors import ArgumentError, RunFolderError
from nplight.modules import ViTClassifier
from nplight.results import strangest_paths
from tests.callbacks.digits_project import model
from tests.callbacks.foreign_project import OPTIONS, make_trainer

METHODS = ["activation", "gradient_activation"]


class SomeDigits(DigitsDataModule):
    predicts_own_images = True

    def evaluation_data(self) -> Any:
        data, labels = super().evaluation_data()
        return Subset(data, range(60)), labels[:60]

    def own_images(self) -> Any:
        data, _ = self.evaluation_data()
        data.files = [f"digit {number}" for number in range(60)]
        return Subset(data, range(60))


@pytest.fixture(scope="module")
def classifier() -> ViTClassifier:
    return model(10).float()


@pytest.fixture(scope="module")
def reference(classifier: ViTClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    search = NeuronPathSearch(run_dir=folder, methods=METHODS, **OPTIONS)
    make_trainer(search).validate(classifier, SomeDigits(), verbose=False)
    return folder


def predict(
    module: ViTClassifier, run: Path, *, shard: Shard | None = None, devices: int = 1, **options: Any
) -> StrangePaths:
    search = NeuronPathSearch(run_dir=run, methods=METHODS, **OPTIONS)
    strange = StrangePaths(run_dir=run, **{"top": 7, **options})
    data = SomeDigits(batch_size=5)
    data.shard = shard
    shared = {} if devices == 1 else {"strategy": "ddp_fork", "devices": devices}
    make_trainer(search, strange, **shared).predict(module, data, return_predictions=False)
    return strange


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "strangest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("against", ["each other", "reference"])
def test_the_strangest_of_every_search_are_listed(
    tmp_path: Path, classifier: ViTClassifier, reference: Path, against: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {} if against == "each other" else {"reference": reference}
    strange = predict(classifier, tmp_path, **options)
    table, others, printed = nplight.read_paths(tmp_path), nplight.read_paths(reference), capsys.readouterr().out
    for method in METHODS:
        compared = None if against == "each other" else others.where(search=method)
        expected = strangest_paths(table.where(search=method), 7, num_classes=10, width=64, reference=compared)
        assert strange.strangest[method] == expected
        listed = [row for row in rows_of(tmp_path) if row["search"] == method]
        assert [int(row["index"]) for row in listed] == [path.index for path in expected]
        assert [float(row["strangeness"]) for row in listed] == [path.strangeness for path in expected]
        assert [row["category_name"] for row in listed] == [str(path.category) for path in expected]
        assert f"Strangest paths of {method}" in printed


def test_the_same_command_lists_the_same_and_a_shard_lists_nothing(tmp_path: Path, classifier: ViTClassifier) -> None:
    predict(classifier, tmp_path / "run")
    before = (tmp_path / "run" / "strangest.csv").read_bytes()
    predict(classifier, tmp_path / "run")
    assert (tmp_path / "run" / "strangest.csv").read_bytes() == before
    assert predict(classifier, tmp_path / "shard", shard=Shard(0, 2)).strangest == {}
    assert not (tmp_path / "shard" / "strangest.csv").exists()


def test_two_processes_list_what_one_lists(tmp_path: Path, classifier: ViTClassifier) -> None:
    for devices in (1, 2):
        predict(classifier, tmp_path / f"{devices}", devices=devices)
    one, two = ([(row["search"], row["index"]) for row in rows_of(tmp_path / name)] for name in ("1", "2"))
    assert one == two


def test_a_reference_of_another_model_or_search_is_refused_before_work(
    tmp_path: Path, classifier: ViTClassifier, reference: Path
) -> None:
    other = model(10).float()
    other.model.head.weight.data.add_(1)
    with pytest.raises(RunFolderError, match="must hold paths of the same model, but its weights are others"):
        predict(other, tmp_path / "other", reference=reference)
    search = NeuronPathSearch(run_dir=tmp_path / "jas", method="jas", **OPTIONS)
    strange = StrangePaths(run_dir=tmp_path / "jas", reference=reference)
    with pytest.raises(RunFolderError, match="holds no paths of jas; validate with it too"):
        make_trainer(search, strange).predict(classifier, SomeDigits(), return_predictions=False)
    assert not (tmp_path / "jas" / "paths").exists()
    with pytest.raises(RunFolderError, match="must be a run folder with settings"):
        predict(classifier, tmp_path / "none", reference=tmp_path / "nothing")


def test_the_search_must_come_first(classifier: ViTClassifier, tmp_path: Path) -> None:
    callbacks = [StrangePaths(run_dir=tmp_path), NeuronPathSearch(run_dir=tmp_path, **OPTIONS)]
    with pytest.raises(ArgumentError, match="StrangePaths needs a NeuronPathSearch before it"):
        make_trainer(*callbacks).predict(classifier, SomeDigits(), return_predictions=False)
    for name in ("top", "neurons"):
        with pytest.raises(ArgumentError, match=f"`{name}` must be an integer of at least 1"):
            StrangePaths(**{name: 0})
