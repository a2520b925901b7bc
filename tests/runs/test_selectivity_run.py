from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import nplight
from nplight.data import ImageBatch
from nplight.errors import ArgumentError
from nplight.runs import SelectivityRun, StoredPaths
from nplight.store import RunFolder
from tests.runs.conftest import Halves
from tests.runs.test_search_run import search


def test_every_category_is_tested_under_every_path(halves: Halves, tmp_path: Path) -> None:
    search(halves, tmp_path)
    paths = StoredPaths(tmp_path)
    with SelectivityRun(halves.vit, RunFolder(tmp_path), paths, search="jas", kept=4, replicates=0) as run:
        for batch in halves.batches(1):
            run.update(batch)
        matrix = run.conclude()
    images, labels = halves.reference.images[1::2], halves.reference.labels[1::2]
    model = halves.reference.model.eval()
    for category in (0, 9):
        with torch.no_grad(), nplight.intervene(model, paths.category_paths["jas"][4].neurons[category], "keep"):
            right = (model(images).argmax(1) == labels).double()
        expected = [right[labels == label].mean().item() for label in range(10)]
        assert matrix.accuracy[:, category].tolist() == pytest.approx(expected)
    content = json.loads((tmp_path / "selectivity.json").read_text())
    assert (content["search"], content["kept"], sum(content["images"])) == ("jas", 4, 40)


def test_images_are_needed_and_so_are_their_labels(halves: Halves, tmp_path: Path) -> None:
    search(halves, tmp_path)
    with SelectivityRun(halves.vit, RunFolder(tmp_path), StoredPaths(tmp_path), search="jas") as run:
        with pytest.raises(ArgumentError, match="must have labels, to test paths with"):
            run.update(ImageBatch(halves.reference.images[:1]))
        with pytest.raises(ArgumentError, match="must be given images to test paths with"):
            run.conclude()
