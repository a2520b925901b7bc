from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nplight.errors import RunFolderError
from nplight.store import RunFolder
from tests.store.samples import category_paths


def test_category_paths_of_several_methods_survive_the_file(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    paths = {
        "jas": {size: category_paths(size) for size in (1, 5)},
        "jas@5": {5: category_paths(5, "mean-score", images=(3, 9))},
    }
    run.write_category_paths(paths, top_k=1)
    found, top_k = run.read_category_paths()
    assert top_k == 1
    assert {method: list(sizes) for method, sizes in found.items()} == {"jas": [1, 5], "jas@5": [5]}
    for method, sizes in paths.items():
        for size, wanted in sizes.items():
            for name in ("neurons", "votes", "images"):
                assert torch.equal(getattr(found[method][size], name), getattr(wanted, name))
            assert found[method][size].method == wanted.method
    digest = run.category_digest()
    run.write_category_paths({"jas": paths["jas"]}, top_k=1)
    assert run.category_digest() != digest


def alter(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert text.count(before) >= 1
    path.write_text(text.replace(before, after, 1))


@pytest.mark.parametrize(
    ("before", "after"),
    [("[[[0], [1]", "[[[0], [2]"), ('"top_k": 1', '"top_k": 5'), ("0.333", "0.334"), ("[4, 2]", "[2, 4]")],
)
def test_any_change_of_category_paths_is_noticed(tmp_path: Path, before: str, after: str) -> None:
    run = RunFolder(tmp_path)
    run.write_category_paths({"jas": {1: category_paths(1), 5: category_paths(5)}}, 1)
    alter(tmp_path / "category_paths.json", before, after)
    with pytest.raises(RunFolderError, match=r"category_paths\.json is damaged: .*content is not what was written"):
        run.read_category_paths()
