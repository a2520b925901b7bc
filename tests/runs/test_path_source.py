from __future__ import annotations

import json
from pathlib import Path

import pytest

from nplight.errors import RunFolderError
from nplight.runs import SearchRun, SearchSettings, StoredPaths
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
    assert stored.objectives == run.objectives == ("probability",)


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


def test_objectives_are_those_that_were_searched_for(halves: Halves, tmp_path: Path) -> None:
    methods = [
        {"method": "activation", "objective": "margin"},
        {"name": "by_logit", "method": "activation", "objective": "logit"},
        {"name": "again", "method": "activation", "objective": "margin"},
    ]
    with SearchRun(halves.vit, RunFolder(tmp_path), SearchSettings.of(methods), halves.context) as run:
        for batch in halves.batches(0):
            run.update(batch)
        run.conclude()
    assert StoredPaths(tmp_path).objectives == run.objectives == ("margin", "logit")
    settings = json.loads((tmp_path / "settings.json").read_text())
    settings["search by_logit"]["objective"] = ["logit"]
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    with pytest.raises(RunFolderError, match=r"settings.json is damaged: there is no objective \['logit'\]"):
        _ = StoredPaths(tmp_path).objectives
