from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from nplight.errors import RunFolderError
from tests.store.samples import contents, finished, finished_with_link


def test_overwriting_removes_what_a_run_wrote_and_nothing_else(tmp_path: Path) -> None:
    mine = ["notes.txt", "model.safetensors", "logs/metrics.csv", "paths/mine.parquet", "paths/part-mine.txt"]
    for name in mine:
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_text(name)
    outside = tmp_path / "outside.parquet"
    outside.write_text("precious")
    (tmp_path / "run" / "paths" / "part-jas-0000000099.parquet").symlink_to(outside)
    run = finished_with_link(tmp_path / "run")
    run.claim("search", {"steps": 8}, overwrite=True)
    assert set(contents(run.path)) == {*mine, "settings.json"}
    assert outside.read_text() == "precious"
    assert json.loads((run.path / "settings.json").read_text()) == {
        "search": {"nplight": version("nplight"), "steps": 8}
    }
    run.release()


def test_overwriting_the_evaluation_keeps_the_search(tmp_path: Path) -> None:
    run = finished(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(RunFolderError, match=r"seed: 0 there, 1 now"):
        run.claim("evaluation", {"seed": 1})
    run.claim("evaluation", {"seed": 1}, overwrite=True)
    after = contents(tmp_path)
    assert set(before) - set(after) == {"metrics.json", "metrics.csv", "comparison.md"}
    assert {name for name in after if after[name] != before[name]} == {"settings.json"}
    # The same settings start anew, too.
    run.claim("search", {"steps": 20}, overwrite=True)
    assert set(contents(tmp_path)) == {"settings.json"}
    run.release()
