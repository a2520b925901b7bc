from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nplight.errors import ArgumentError
from nplight.metrics import estimate, path_agreement, poisson_weights
from nplight.results import category_path_stability
from nplight.searching import category_paths
from nplight.store import PathTable, RunFolder, read_paths
from tests.store.samples import write


@pytest.fixture
def rows(tmp_path: Path) -> PathTable:
    run = RunFolder(tmp_path)
    write(run, [4, 0, 7], seed=1)
    write(run, [1, 2, 3, 9, 8], seed=2)
    return read_paths(tmp_path).where(search="jas")


def test_it_is_the_agreement_of_paths_formed_from_repeated_images(rows: PathTable) -> None:
    labels, ranking = torch.as_tensor(rows["label"]), torch.as_tensor(rows["ranking"])[..., :1]
    scores = torch.as_tensor(rows["ranking_scores"])[..., :1]
    weights = poisson_weights(torch.as_tensor(rows["checksum"]), replicates=12, seed=-1)
    agreements = []
    for pair in range(6):
        paths = []
        for times in weights[:, 2 * pair : 2 * pair + 2].T:
            again = torch.arange(len(labels)).repeat_interleave(times)
            if set(labels[again].tolist()) != {0, 1}:
                break
            paths.append(category_paths(ranking[again], labels[again], num_classes=2, scores=scores[again]).neurons)
        else:
            agreements.append(path_agreement(*paths).mean())
        found = category_path_stability(rows, num_classes=2, top_k=1, pairs=pair + 1, replicates=0)
        if len(agreements) == pair + 1:
            assert found.values.item() == pytest.approx((sum(agreements) / len(agreements)).item())
        else:
            # A category without images in some set is left out.
            assert int(found.images) < 2
    assert agreements


def test_the_path_of_a_category_with_many_like_images_stays(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for seed in range(40):
        write(run, [seed], seed=0)
    found = estimate(category_path_stability(read_paths(tmp_path), num_classes=10, top_k=1, pairs=2))
    assert found.value == 1
    assert 0 < found.low < found.high == 1


def test_no_pair_is_refused(rows: PathTable) -> None:
    with pytest.raises(ArgumentError, match="`pairs` must be an integer of at least 1, got 0"):
        category_path_stability(rows, num_classes=2, top_k=1, pairs=0)
