from __future__ import annotations

from pathlib import Path

import torch

import nplight
from nplight.searching import CategorySearch, SearchOptions
from tests.runs.conftest import Halves
from tests.runs.test_search_run import search


def test_one_pass_per_layer_and_one_for_the_scores(halves: Halves, tmp_path: Path) -> None:
    run = search(halves, tmp_path)
    layers = len(halves.vit.down)
    assert halves.passes == [*(f"Searching layer {layer + 1}/{layers}" for layer in range(layers)), "Scoring paths"]
    expected = CategorySearch(halves.vit, 10, SearchOptions(ranked=4, steps=3))
    for _ in range(layers):
        for batch in halves.batches(0):
            assert batch.labels is not None
            expected.update(batch.images, batch.labels)
        expected.choose()
    paths = run.category_paths["jointly"][4]
    assert torch.equal(paths.neurons, expected.paths(4).neurons)
    rows = nplight.read_paths(tmp_path).where(search="jointly")
    labels = torch.as_tensor(rows["label"])
    assert torch.equal(torch.as_tensor(rows["neurons"]), run.category_paths["jointly"][1].of(labels))
