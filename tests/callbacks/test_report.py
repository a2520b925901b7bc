from __future__ import annotations

import csv
import io
import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader

from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathReport, PathSelectivity
from nplight.data import read_batch
from nplight.errors import ArgumentError, RunFolderError
from nplight.report import Gallery, read_run
from nplight.vit import open_vit
from tests.callbacks.foreign_project import (
    OPTIONS,
    Foreign,
    all_callbacks,
    contents,
    make_loaders,
    make_trainer,
    shared_by_two,
)
from tests.conftest import Reference, read_reference

pytestmark = pytest.mark.usefixtures("quick_planes")


def validate(reference: Reference, loaders: list[DataLoader[Any]], folder: Path, **options: Any) -> NeuronPathSearch:
    settings = {name: options.pop(name) for name in list(options) if name.startswith("per_")}
    search = NeuronPathSearch(run_dir=folder, **OPTIONS)
    evaluation = PathEvaluation(run_dir=folder, fractions=(1.0,), replicates=20, draws=2)
    trainer = make_trainer(search, evaluation, PathReport(run_dir=folder, **settings), **options)
    trainer.validate(Foreign(reference.model), loaders, verbose=False)
    return search


@pytest.fixture(scope="module")
def finished(quick_planes: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with a report, to be read."""
    folder, reference = tmp_path_factory.mktemp("finished"), read_reference("class_token")
    validate(reference, make_loaders(reference), folder)
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """The same, to be changed; its name stands in the report."""
    return shutil.copytree(finished, tmp_path / finished.name)


def test_the_report_is_of_the_held_out_images(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    search = validate(reference, loaders, tmp_path)
    pictures = json.loads((tmp_path / "pictures.json").read_text())
    held_out = set(loaders[1].dataset.indices)
    assert {int(picture["file"].split()[-1]) - 100 for picture in pictures["pictures"]} <= held_out
    whole = Gallery(open_vit(reference.model), search.category_paths["jas"][1])
    for batch in loaders[1]:
        whole.update(read_batch(batch))
    assert json.loads(json.dumps(whole.to_dict())) == pictures
    about = json.loads((tmp_path / "run.json").read_text())
    assert about["names"] == list(map(str, range(10)))
    assert about["widths"] == list(open_vit(reference.model).widths)
    assert about["path_tokens"] == "the class token"
    assert "<h1>Neuron paths" in (tmp_path / "report.html").read_text()


def test_the_same_again_changes_nothing(reference: Reference, loaders: list[DataLoader[Any]], copied: Path) -> None:
    before = contents(copied)
    validate(reference, loaders, copied)
    assert contents(copied) == before


@pytest.mark.parametrize("damage", ["{", "[]", '{"a": 1}', "\udcff"])
@pytest.mark.parametrize("name", ["run.json", "pictures.json"])
def test_a_damaged_file_of_the_report_is_written_anew_by_the_same_run(
    reference: Reference, loaders: list[DataLoader[Any]], copied: Path, name: str, damage: str
) -> None:
    before = contents(copied)
    (copied / name).write_bytes(damage.encode(errors="surrogateescape"))
    with pytest.raises(RunFolderError, match=f"{name} .*; the same command again writes it anew"):
        read_run(copied)
    validate(reference, loaders, copied)
    after = contents(copied)
    written = {name: json.loads(files["run.json"]) for name, files in (("before", before), ("after", after))}
    assert {**written["before"], "seconds": 0} == {**written["after"], "seconds": 0}
    assert {file for file in after if after[file] != before[file]} <= {"run.json", "report.html"}


def test_two_runs_differ_in_the_files_that_the_page_names_alone(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    for place in (tmp_path, tmp_path / "elsewhere"):
        monkeypatch.chdir(place)
        validate(reference, loaders, Path("run"))
        monkeypatch.setattr("time.monotonic", lambda late=time.monotonic: late() * 20)
    one, other = contents(tmp_path / "run"), contents(tmp_path / "elsewhere" / "run")
    assert one.keys() == other.keys()
    page = " ".join((Path(__file__).parents[2] / "docs" / "explanation" / "exact.md").read_text().split())
    (named,) = re.findall(r"gives the same files, byte for byte, but for (.*?), which say", page)
    assert {name for name in one if one[name] != other[name]} == set(re.findall(r"`(.*?)`", named))
    first, second = (json.loads(files["run.json"]) for files in (one, other))
    assert {name for name in first if first[name] != second[name]} == {"seconds"}


def test_two_processes_keep_the_pictures_of_one(
    reference: Reference, loaders: list[DataLoader[Any]], finished: Path, tmp_path: Path
) -> None:
    shared = [shared_by_two(loader) for loader in loaders]
    options = {"devices": 2, "strategy": "ddp_fork", "use_distributed_sampler": False}
    validate(reference, shared, tmp_path, **options)
    one, two = (json.loads((folder / "pictures.json").read_text()) for folder in (finished, tmp_path))
    assert seen(one) == seen(two)
    values = [[driver["values"] for driver in pictures["drivers"]] for pictures in (one, two)]
    assert values[0] == values[1]
    assert sum(map(sum, (values[0][0]["own"], values[0][0]["rest"]))) == 40
    assert json.loads((tmp_path / "run.json").read_text())["processes"] == 2


def seen(pictures: dict[str, Any]) -> list[Any]:
    """Samples and drivers with their pictures in place of the pictures' numbers."""
    shown = pictures["pictures"]
    lists = [*pictures["samples"].values(), *(driver["images"] for driver in pictures["drivers"])]
    return [[(shown[place]["source"], *facts) for place, *facts in entries] for entries in lists]


def test_no_pictures_are_kept_where_none_are_wanted(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    validate(reference, loaders, tmp_path, per_category=0, per_neuron=0)
    assert not (tmp_path / "pictures.json").exists()
    assert "No pictures were kept" in (tmp_path / "report.html").read_text()


def test_stored_paths_are_reported_of_in_test(
    reference: Reference, loaders: list[DataLoader[Any]], finished: Path, tmp_path: Path
) -> None:
    again = PathEvaluation(paths=finished, fractions=(1.0,), replicates=20, draws=2, run_dir=tmp_path)
    report = PathReport(run_dir=tmp_path)
    make_trainer(again, report).test(Foreign(reference.model), loaders[1], verbose=False)
    assert (finished / "pictures.json").read_text() == (tmp_path / "pictures.json").read_text()
    assert "This run holds no image paths" in (tmp_path / "report.html").read_text()


def test_predicted_paths_are_reported_of_by_prediction(reference: Reference, tmp_path: Path) -> None:
    search = NeuronPathSearch(run_dir=tmp_path, **OPTIONS)
    images = DataLoader(reference.images[::20], batch_size=2)
    make_trainer(search, PathReport(run_dir=tmp_path)).predict(Foreign(reference.model), images)
    page = (tmp_path / "report.html").read_text()
    assert "Most shared neurons" in page
    assert "it was searched, and not evaluated" in page
    assert not (tmp_path / "pictures.json").exists()


def test_fit_is_left_alone(reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path) -> None:
    trainer = make_trainer(PathReport(run_dir=tmp_path), max_epochs=1, limit_train_batches=1)
    trainer.fit(Foreign(reference.model), loaders[0], loaders[1])
    assert list(tmp_path.iterdir()) == []


def test_every_logger_gets_scalars_and_tensorboard_figures(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    callbacks = [
        NeuronPathSearch(run_dir=tmp_path, **OPTIONS),
        PathEvaluation(run_dir=tmp_path, fractions=(1.0,), replicates=0),
        PathSelectivity(run_dir=tmp_path, replicates=0),
        PathReport(run_dir=tmp_path, per_category=0, per_neuron=0),
    ]
    loggers = [TensorBoardLogger(tmp_path, "board", ""), CSVLogger(tmp_path, "csv", "")]
    make_trainer(*callbacks, logger=loggers).validate(Foreign(reference.model), loaders, verbose=False)
    removed = next(result for result in callbacks[1].results if result.condition == "removed")
    with (tmp_path / "csv" / "metrics.csv").open() as file:
        logged = {name: float(value) for row in csv.DictReader(file) for name, value in row.items() if value}
    assert logged["paths/removed/accuracy"] == pytest.approx(removed.value("accuracy"))
    assert logged["paths/selectivity/own"] == pytest.approx(callbacks[2].matrix.own.values.item())

    board = EventAccumulator(str(tmp_path / "board")).Reload()
    assert set(logged) - {"step", "epoch"} == set(board.Tags()["scalars"]) - {"epoch"}
    assert board.Scalars("paths/removed/accuracy")[0].value == pytest.approx(removed.value("accuracy"))
    charts = ("normalised", "pruning", "faithfulness", "dose", "depth", "selectivity")
    assert set(board.Tags()["images"]) == {f"paths/{name}" for name in charts}
    picture = Image.open(io.BytesIO(board.Images("paths/pruning")[0].encoded_image_string))
    assert len(picture.getcolors(10**6)) > 20


@pytest.mark.parametrize("late", [0, 1])
def test_a_report_before_its_results_is_refused(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, late: int
) -> None:
    callbacks: list[Any] = [NeuronPathSearch(run_dir=tmp_path, **OPTIONS), PathEvaluation(run_dir=tmp_path)]
    name = type(callbacks[1]).__name__ if late else type(callbacks[0]).__name__
    callbacks.insert(late, PathReport(run_dir=tmp_path))
    with pytest.raises(ArgumentError, match=f"PathReport must stand after {name}"):
        make_trainer(*callbacks).validate(Foreign(reference.model), loaders, verbose=False)
    with pytest.raises(ArgumentError, match="PathReport needs a NeuronPathSearch or PathEvaluation"):
        make_trainer(PathReport()).validate(Foreign(reference.model), loaders, verbose=False)


@pytest.mark.parametrize(("name", "least"), [("per_category", 0), ("per_neuron", 0), ("most_neurons", 0), ("size", 1)])
def test_wrong_bounds_are_refused(name: str, least: int) -> None:
    with pytest.raises(ArgumentError, match=f"`{name}` must be an integer of at least {least}, got {least - 1}"):
        PathReport(**{name: least - 1})


def test_a_report_of_another_folder_is_refused_before_work(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    for folder in (None, tmp_path / "other"):
        trainer = make_trainer(*all_callbacks(tmp_path / "run"), PathReport(run_dir=folder))
        with pytest.raises(ArgumentError, match=r"PathReport must share `run_dir` with .* results it shows"):
            trainer.validate(Foreign(reference.model), loaders, verbose=False)
    assert not (tmp_path / "run").exists()
