"""Files of a run folder that hold something else: one line that names the file and the way out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader, TensorDataset

from nplight.callbacks import PathEvaluation
from nplight.cli import main
from nplight.errors import NplightError, RunFolderError
from nplight.report import read_run, report_html
from tests.callbacks.foreign_project import Foreign, make_trainer
from tests.conftest import Reference, make_vit

FILES = (
    "run.json",
    "pictures.json",
    "metrics.json",
    "selectivity.json",
    "stability.json",
    "sanity.json",
    "settings.json",
    "category_paths.json",
)


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def folder_in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe_in_its_place(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "other object": write(b'{"a": 1}'),
    "list": write(b"[1, 2]"),
    "number": write(b"3"),
    "null": write(b"null"),
    "empty": write(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "encoding": write(b'{"\xff\xfe": 1}'),
    "nested": write(b"[" * 100_000),
    "digits": write(b'{"a": ' + b"9" * 10_000 + b"}"),
    "folder": folder_in_its_place,
    "pipe": pipe_in_its_place,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_is_named_in_one_line(
    run: Path, capsys: pytest.CaptureFixture[str], file: str, damage: str
) -> None:
    DAMAGES[damage](run / file)
    with pytest.raises(SystemExit) as end:
        main(["report", str(run)])
    assert end.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: {run / file} ")
    assert shown.count("\n") == 1
    assert "; " in shown
    assert len(shown) < 600


CHANGES: tuple[tuple[str, tuple[Any, ...], Any], ...] = (
    ("run.json", ("widths",), [192, 192, 0, 192]),
    ("run.json", ("widths",), [192]),
    ("run.json", ("widths",), [10] * 4),
    ("run.json", ("widths",), [10**30] * 4),
    ("run.json", ("names",), [1, 2]),
    ("pictures.json", ("samples", "0", 0, 0), 99_999),
    ("pictures.json", ("samples", "0", 0, 1), float("nan")),
    ("pictures.json", ("drivers", 0, "images"), {}),
    ("metrics.json", ("conditions", 0, "accuracy"), "high"),
    ("metrics.json", ("conditions", 0), {}),
    ("metrics.json", ("conditions", 6, "kept"), None),
    ("metrics.json", ("faithfulness", "jas", "accuracy", 0), 1),
    ("metrics.json", ("paths", "jas", "most_similar", 0, "categories"), [1]),
    ("selectivity.json", ("accuracy", 0), [1.0]),
    ("selectivity.json", ("accuracy",), [[1.0]]),
    ("stability.json", ("searches", "jas", "kept", "noise", 0), 1),
    ("stability.json", ("searches", "jas", "kept", "noise"), []),
    ("stability.json", ("levels", "blur"), [1]),
    ("sanity.json", ("steps",), ["head"]),
    ("sanity.json", ("searches", "jas", "nearest", "own", "value"), "high"),
    ("sanity.json", ("read_out", "searches"), {}),
    ("settings.json", ("search",), 1),
    ("settings.json", ("search jas", "steps"), [20]),
    ("category_paths.json", ("methods",), {}),
    ("category_paths.json", ("methods", "jas"), {}),
    ("category_paths.json", ("methods", "jas", "1", "neurons", 0), []),
    ("category_paths.json", ("methods", "jas", "1", "neurons", 0, 0, 0), -1),
    ("category_paths.json", ("methods", "jas", "1", "votes", 0, 0, 0), float("nan")),
    ("category_paths.json", ("methods", "jas", "1", "images", 0), 0),
    ("category_paths.json", ("top_k",), 2),
    ("category_paths.json", ("top_k",), 10**30),
    ("category_paths.json", ("version",), 99),
)


@pytest.mark.parametrize(("file", "place", "value"), CHANGES)
def test_a_changed_entry_is_refused_by_the_name_of_its_file(
    run: Path, file: str, place: tuple[Any, ...], value: Any
) -> None:
    content = json.loads((run / file).read_text())
    inner = content
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    (run / file).write_text(json.dumps(content))
    with pytest.raises(RunFolderError) as error:
        report_html(read_run(run))
    # Of two files that disagree either may be the wrong one; both are named.
    assert str(run / file) in str(error.value) or (file == "category_paths.json" and file in str(error.value))
    assert "\n" not in str(error.value)
    # No run replaces settings that it cannot read.
    assert ("; start anew with --overwrite" if file == "settings.json" else "; the same") in str(error.value)


def damaged_paths(run: Path) -> None:
    (run / "category_paths.json").write_text('{"version": 1, "top_k": 1, "methods": {}}')


def damaged_settings(run: Path) -> None:
    (run / "settings.json").write_text('{"search": 1}')


def other_kind(run: Path) -> None:
    shutil.rmtree(run)
    (run / "images").mkdir(parents=True)


def a_file(run: Path) -> None:
    shutil.rmtree(run)
    run.write_text("")


def searched_alone(run: Path) -> None:
    (run / "category_paths.json").unlink()


SOURCES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (shutil.rmtree, "must be a run folder with category_paths.json, but there is none"),
    "file": (a_file, "must be a folder, but .* is a file"),
    "other kind": (other_kind, "must be a run folder with category_paths.json, but there is none"),
    "no category paths": (searched_alone, "must be a run folder with category_paths.json, but there is none"),
    "no methods": (damaged_paths, r"category_paths\.json is damaged: methods: .* at least 1 item"),
    "settings": (damaged_settings, r"settings\.json is damaged: it holds no sections"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_paths_that_cannot_be_tested_are_refused_in_one_line(
    reference: Reference, run: Path, tmp_path: Path, kind: str
) -> None:
    change, reason = SOURCES[kind]
    change(run)
    evaluation = PathEvaluation(paths=run, run_dir=tmp_path / "test")
    images = DataLoader(TensorDataset(reference.images[:4], reference.labels[:4]))
    with pytest.raises(RunFolderError, match=reason) as error:
        make_trainer(evaluation).test(Foreign(reference.model), images, verbose=False)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"depth": 3}, "layers = 3"),
        ({"num_classes": 7}, "one path for each of the 7"),
        ({"mlp_ratio": 0.25}, r"`neurons` of layer \d must be in 0 … 11"),
    ],
)
def test_paths_of_another_architecture_are_refused_in_one_line(
    reference: Reference, run: Path, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    model = make_vit(**{"embed_dim": 48, "depth": 4, "num_classes": 10, **change})
    evaluation = PathEvaluation(paths=run, run_dir=tmp_path / "test")
    images = DataLoader(TensorDataset(reference.images[:4], reference.labels[:4]))
    with pytest.raises(NplightError, match=reason) as error:
        make_trainer(evaluation).test(Foreign(model), images, verbose=False)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "test").exists()
