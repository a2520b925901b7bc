from __future__ import annotations

import csv
import json
import os
from importlib.metadata import version
from pathlib import Path

import pytest

from nplight import read_paths
from nplight.errors import RunFolderError
from nplight.store import RunFolder
from tests.store.samples import category_paths, contents, finished, largest_file, write


def test_a_run_goes_on_with_the_same_settings_only(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.claim("search", {"steps": 20, "kept": (1, 5)})
    before = contents(run.path)
    run.claim("search", {"steps": 20, "kept": (1, 5)})
    with pytest.raises(
        RunFolderError,
        match=r"other settings \(steps: 20 there, 8 now, rule: None there, midpoint now\); "
        r"name another --run_dir, or replace its results with --overwrite",
    ):
        run.claim("search", {"steps": 8, "kept": (1, 5), "rule": "midpoint"})
    assert contents(run.path) == before
    run.claim("evaluation", {"seed": 0})
    assert set(json.loads((run.path / "settings.json").read_text())) == {"search", "evaluation"}
    run.release()


def test_another_version_of_nplight_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunFolder(tmp_path) as run:
        run.claim("search", {"steps": 20})
    monkeypatch.setattr("nplight.store.folder.version", lambda name: "9.9.9")
    with pytest.raises(RunFolderError, match=rf"\(nplight: {version('nplight')} there, 9\.9\.9 now\)"):
        RunFolder(tmp_path).claim("search", {"steps": 20})


def test_long_settings_are_listed_in_short(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        run.claim("search", {"names": ["a" * 1000]})
    with pytest.raises(RunFolderError, match=r"\(names: \['a{98}… there, \['b{98}… now\)"):
        RunFolder(tmp_path).claim("search", {"names": ["b" * 1000]})


def test_paths_of_an_unknown_run_are_not_mixed_with_new_ones(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write(run, [0])
    with pytest.raises(RunFolderError, match="holds paths of an unknown run"):
        run.claim("search", {"steps": 20})
    run.claim("search", {"steps": 20}, overwrite=True)
    assert not any(run.parts.iterdir())
    run.release()


def test_leftovers_of_a_killed_run_are_swept_by_the_next(tmp_path: Path) -> None:
    run = finished(tmp_path)
    before = contents(tmp_path)
    for name in (".settings.json.0123abcd.tmp", "paths/.part-jas-0000000002.parquet.0123abcd.tmp"):
        (tmp_path / name).write_bytes(b"half")
    assert len(read_paths(tmp_path)) == 4
    run.claim("search", {"steps": 20})
    assert contents(tmp_path) == before
    run.release()


def test_the_data_at_hand_must_be_that_of_the_run(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        run.claim("search", {"images": 10, "split": 0})
    run.check_same("search", {"images": 10, "unknown": 3})
    with pytest.raises(RunFolderError, match=r"found with other data \(images: 10 there, 11 now\)"):
        run.check_same("search", {"images": 11, "split": 0})


@pytest.mark.parametrize("text", ["", "[]", "{", "\udcff", "[" * 100_000])
def test_damaged_settings_are_named_and_can_be_overwritten(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.json").write_bytes(text.encode(errors="surrogateescape"))
    run = RunFolder(tmp_path)
    with pytest.raises(RunFolderError, match=r"settings\.json is damaged: .*; start anew with --overwrite"):
        run.claim("search", {})
    run.claim("search", {}, overwrite=True)
    run.release()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(RunFolderError, match=r"`run_dir` must be a folder, but .*file is a file"):
            RunFolder(path)
    with pytest.raises(RunFolderError, match=r"`run_dir` .* cannot be used: File name too long"):
        RunFolder(tmp_path / ("x" * 300))


def test_a_full_disk_damages_nothing(tmp_path: Path) -> None:
    run = finished(tmp_path)
    before = contents(tmp_path)
    with largest_file(100):
        for work in (
            lambda: write(run, [5, 6]),
            lambda: run.write_category_paths({"jas": {5: category_paths(5)}}, 1),
            lambda: run.write_metrics([{"accuracy": 0.5, "name": "x" * 100}], {}),
        ):
            with pytest.raises(RunFolderError, match=r"cannot be written: File too large; make room"):
                work()
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["settings.json", "category_paths.json"])
def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    run = finished(tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    told = rf"{name} must be a file, but something else stands there; remove it"
    readers = {
        "settings.json": [lambda: run.check_same("search", {}), lambda: run.claim("search", {"steps": 20})],
        "category_paths.json": [run.read_category_paths, run.category_digest],
    }
    for reader in readers[name]:
        with pytest.raises(RunFolderError, match=told):
            reader()
    with pytest.raises(RunFolderError, match=rf"{name} cannot be (written|removed): "):
        run.claim("search", {"steps": 20}, overwrite=True)


@pytest.mark.parametrize("content", [{"search": 5}, {"search": []}])
def test_settings_of_another_shape_are_damaged(tmp_path: Path, content: object) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(content))
    run = RunFolder(tmp_path)
    for work in (lambda: run.claim("search", {}), lambda: run.check_same("search", {"images": 3})):
        with pytest.raises(RunFolderError, match=r"settings\.json is damaged: .*; start anew with --overwrite"):
            work()


def test_metrics_are_written_as_json_and_csv(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    rows = [{"condition": "clean", "accuracy": 0.5}, {"condition": "kept", "accuracy": 0.25, "kept": 5}]
    run.write_metrics(rows, {"images": 4})
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"images": 4, "conditions": rows}
    assert (tmp_path / "metrics.csv").read_text() == "condition,accuracy,kept\nclean,0.5,\nkept,0.25,5\n"


def test_names_that_are_no_text_can_be_listed(tmp_path: Path) -> None:
    names = [os.fsdecode(b"\xff.png"), 'with "quotes", and\nlines.png', "\rline.png"]
    RunFolder(tmp_path).write_skipped([(name, "odd") for name in names])
    with (tmp_path / "skipped_files.csv").open(newline="", encoding="utf-8") as file:
        assert [row["file"] for row in csv.DictReader(file)] == ["\\udcff.png", names[1], "\\rline.png"]


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\n"])
def test_no_text_of_a_table_is_a_formula(tmp_path: Path, first: str) -> None:
    text = f"{first}1+1/x.png"
    run = RunFolder(tmp_path)
    run.write_skipped([(text, text)])
    run.write_metrics([{"search": text, "accuracy": -0.5, text: 2}], {})
    for name in ("skipped_files.csv", "metrics.csv"):
        with (tmp_path / name).open(newline="", encoding="utf-8") as file:
            head, values = csv.reader(file)
        assert [cell for cell in head + values if cell and cell[0] in "=+-@\t\r\n"] == ["-0.5"] * (
            name == "metrics.csv"
        )
        assert f"'{text}" in values
    assert json.loads((tmp_path / "metrics.json").read_text())["conditions"][0]["search"] == text
