from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nplight import category_paths
from nplight.errors import ArgumentError
from nplight.results import form_category_paths
from nplight.searching import CATEGORY_METHODS
from nplight.store import PathTable, RunFolder, read_paths
from tests.store.samples import write


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


def test_a_category_without_images_is_refused(table: PathTable) -> None:
    with pytest.raises(ArgumentError, match="every category must have at least one image"):
        form_category_paths(table, [1], num_classes=3, category_method="frequency")
