from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nplight.metrics import (
    BootstrapMean,
    SelectivityMatrix,
    estimate,
    neuron_frequency,
    pair_similarity,
    path_distance,
    selectivity_summary,
)
from nplight.metrics.replicates import Replicates
from nplight.results import path_statistics, selectivity_to_dict, table_agreement
from nplight.store import PathTable, RunFolder, read_paths
from tests.store.samples import write


@pytest.fixture
def table(tmp_path: Path) -> PathTable:
    run = RunFolder(tmp_path)
    write(run, [4, 0, 7], seed=1)
    write(run, [1, 2, 3, 9, 8], seed=2)  # between the indices of the first part
    write(run, [5, 8, 0, 2], seed=3, search="activation")
    return read_paths(tmp_path)


def test_pairs_are_those_of_the_rows_of_each_label(table: PathTable) -> None:
    rows = table.where(search="jas")
    statistics = path_statistics(rows, num_classes=2, width=9, replicates=50)
    columns = [tuple(rows.where(label=label)[name] for label in (0, 1)) for name in ("neurons", "checksum")]
    expected = estimate(pair_similarity(*columns, replicates=50))  # type: ignore[arg-type]
    assert [pair.cosine for pair in statistics.most_similar] == [expected]
    assert statistics.least_similar == statistics.most_similar
    assert statistics.most_similar[0].to_dict()["categories"] == [0, 1]


def test_scores_and_distances_are_those_of_all_rows(table: PathTable) -> None:
    rows = table.where(search="jas")
    statistics = path_statistics(rows, num_classes=2, width=9, replicates=50)
    mean = BootstrapMean(replicates=50)
    mean.update(rows["score"], rows["checksum"])
    torch.testing.assert_close(statistics.joint_score[:2], mean.compute()[:2])
    distance = path_distance(neuron_frequency(rows["neurons"], rows["label"], num_classes=2, width=9))  # type: ignore[arg-type]
    assert statistics.distance.within.value == distance.diagonal().mean()
    assert statistics.distance.between.value == distance[0, 1]
    written = statistics.to_dict()
    assert written["joint_score"]["images"] == 8
    assert set(written["distance"]) == {"within", "between", "difference"}


def test_searches_are_compared_on_the_images_that_both_have(table: PathTable) -> None:
    first, second = (table.where(search=search) for search in table.searches)
    agreement = table_agreement(first, second, replicates=10)
    common = [[rows["index"].tolist().index(image) for image in (0, 2, 8)] for rows in (first, second)]  # type: ignore[union-attr]
    equal = first["neurons"][common[0]] == second["neurons"][common[1]]  # type: ignore[index]
    assert agreement.neurons.values[0] == equal.double().mean()
    assert agreement.neurons.images == 3
    assert table_agreement(first, first, replicates=0).whole.values.item() == 1


def test_a_cell_that_was_not_tested_is_written_as_none() -> None:
    replicates = Replicates(torch.tensor([0.5, 0.4, 0.6], dtype=torch.float64), torch.tensor(4))
    matrix = SelectivityMatrix(torch.tensor([[1.0, torch.nan], [0.25, 1 / 3]]), torch.tensor([3, 1]), *[replicates] * 2)
    written = selectivity_to_dict(matrix, selectivity_summary(matrix))
    assert written["accuracy"] == [[1, None], [0.25, 0.333333]]
    assert written["images"] == [3, 1]
    assert written["difference"]["value"] == 0
