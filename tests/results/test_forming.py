from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
import torch

from nplight import category_paths
from nplight.errors import ArgumentError
from nplight.results import form_category_paths, forming
from nplight.searching import CATEGORY_METHODS
from nplight.store import PathTable, RunFolder, read_paths, write_part
from tests.store.samples import batch, write


@pytest.fixture
def table(tmp_path: Path) -> PathTable:
    for index, seed in (([4, 0, 7], 1), ([1, 2, 3, 9, 8], 2)):
        write(RunFolder(tmp_path), index, seed=seed)
    return read_paths(tmp_path)


@pytest.mark.parametrize("method", CATEGORY_METHODS)
def test_paths_of_each_size_are_those_of_all_rows_together(table: PathTable, method: str) -> None:
    formed = form_category_paths(table, [1, 3], num_classes=2, category_method=method)
    assert list(formed) == [1, 3]
    for size, paths in formed.items():
        ranking, scores = (torch.as_tensor(table[name])[..., :size] for name in ("ranking", "ranking_scores"))
        labels = torch.as_tensor(table["label"])
        expected = category_paths(ranking, labels, num_classes=2, top_k=size, method=method, scores=scores)
        assert torch.equal(paths.neurons, expected.neurons)
        torch.testing.assert_close(paths.votes, expected.votes)
        assert paths.images.tolist() == [4, 4]


@pytest.mark.parametrize("method", CATEGORY_METHODS)
@pytest.mark.parametrize(("entries", "categories"), [(0, 1), (40, 1), (100, 2), (200, 5), (400, 10)])
def test_paths_formed_in_several_passes_are_those_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, entries: int, categories: int
) -> None:
    """A category has 24 to 40 entries: of six images in two layers, one neuron and three, of nine."""
    run, labels = RunFolder(tmp_path), torch.arange(60) * 7 % 10
    for start in range(0, 60, 6):
        index = torch.arange(start, start + 6)
        write_part(
            run,
            batch(6, seed=start),
            index=index,
            files=["image"] * 6,
            labels=labels[index],
            checksums=[1] * 6,
            search="jas",
        )
    table = read_paths(tmp_path)
    whole = form_category_paths(table, [1, 3], num_classes=10, category_method=method)
    passes, real = [], PathTable.batches
    monkeypatch.setattr(PathTable, "batches", lambda *words: passes.append(1) or real(*words))  # type: ignore[func-returns-value]
    monkeypatch.setattr(forming, "MOST_ENTRIES", entries)
    monkeypatch.setattr(import_module("nplight.searching.category_paths"), "PENDING", 0)
    parts = form_category_paths(table, [1, 3], num_classes=10, category_method=method)
    # One over the labels; then 10, 5, 2 or 1 categories at a time.
    assert len(passes) == 1 + 10 / categories
    for size in (1, 3):
        assert torch.equal(parts[size].neurons, whole[size].neurons)
        assert torch.equal(parts[size].votes, whole[size].votes)
        assert torch.equal(parts[size].images, whole[size].images)


def test_a_label_that_is_no_category_is_refused(table: PathTable) -> None:
    with pytest.raises(ArgumentError, match="`labels` must be in 0 … 0, got 1"):
        form_category_paths(table, [1], num_classes=1, category_method="frequency")


def test_a_category_without_images_is_refused(table: PathTable) -> None:
    with pytest.raises(ArgumentError, match="every category must have at least one image"):
        form_category_paths(table, [1], num_classes=3, category_method="frequency")
