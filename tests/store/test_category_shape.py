from __future__ import annotations

import json
from pathlib import Path

import pytest

from nplight.errors import RunFolderError
from nplight.store import RunFolder
from tests.store.samples import category_paths


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.clear(),
        lambda content: content.update(version=2),
        lambda content: content.update(methods=[]),
        lambda content: content.update(top_k=None),
        lambda content: content["methods"].update(jas={"one": {}}),
        lambda content: content["methods"]["jas"]["1"].pop("votes"),
        lambda content: content["methods"]["jas"]["1"].update(neurons=[[1, 2], [3]]),
        lambda content: content["methods"]["jas"]["1"].update(neurons=[[[0.5]] * 3] * 2),
        lambda content: content["methods"]["jas"]["1"].update(neurons=[[[10**30]] * 3] * 2),
        lambda content: content["methods"]["jas"]["1"].update(images=[1]),
        lambda content: content["methods"]["jas"]["1"].update(votes=[[[float("nan")]] * 3] * 2),
        lambda content: content["methods"]["jas"]["1"].update(votes=[[[float("inf")]] * 3] * 2),
        lambda content: content["methods"]["jas"]["1"].update(neurons=[[[-1]] * 3] * 2),
    ],
)
def test_damaged_category_paths_are_named(tmp_path: Path, change: object) -> None:
    run = RunFolder(tmp_path)
    run.write_category_paths({"jas": {1: category_paths(1)}}, 1)
    content = json.loads((tmp_path / "category_paths.json").read_text())
    del content["checksum"]  # files of before there was one are read if they are sound otherwise
    (tmp_path / "category_paths.json").write_text(json.dumps(content))
    run.read_category_paths()
    change(content)  # type: ignore[operator]
    (tmp_path / "category_paths.json").write_text(json.dumps(content))
    with pytest.raises(RunFolderError, match=r"category_paths\.json is damaged: .*the same validate again"):
        run.read_category_paths()
    with pytest.raises(RunFolderError, match=r"must be a run folder with category_paths\.json"):
        RunFolder(tmp_path / "other").read_category_paths()
