from __future__ import annotations

from pathlib import Path

import pytest

from nplight.errors import RunFolderError
from nplight.runs import SearchRun, StoredPaths
from nplight.store import RunFolder
from tests.runs.conftest import Halves
from tests.runs.test_search_run import search


def test_stored_paths_are_those_of_the_run_that_found_them(halves: Halves, tmp_path: Path) -> None:
    run = search(halves, tmp_path)
    stored = StoredPaths(tmp_path)
    assert (list(stored.names), stored.top_k, list(stored.sizes)) == (run.names, run.top_k, list(run.sizes))
    for name, sizes in run.category_paths.items():
        for size, paths in sizes.items():
            assert stored.category_paths[name][size].neurons.tolist() == paths.neurons.tolist()
    # Rows of the run's own images; those of a finished run are of other images.
    assert run.image_paths().searches
    assert stored.image_paths() is None
    assert run.digest() is None
    assert stored.digest() == RunFolder(tmp_path).category_digest()


def test_other_weights_and_other_data_are_told_apart(halves: Halves, tmp_path: Path) -> None:
    search(halves, tmp_path)
    stored = StoredPaths(tmp_path)
    stored.check_model(halves.vit)
    stored.compare_weights(str(RunFolder(tmp_path).settings()["search"]["model"]))
    assert stored.notes == []
    with pytest.warns(UserWarning, match="were found with other weights"):
        stored.compare_weights("0123456789abcdef")
    assert len(stored.notes) == 1
    with pytest.raises(RunFolderError, match="were found with other data"):
        stored.check_data({"precision": "of another split"})
    with pytest.raises(RunFolderError, match=r"must be a run folder with category_paths\.json"):
        StoredPaths(tmp_path / "paths")


def test_a_search_run_is_a_source(halves: Halves, tmp_path: Path) -> None:
    assert isinstance(search(halves, tmp_path), SearchRun)
