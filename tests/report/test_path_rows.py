from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nplight.errors import ArgumentError
from nplight.metrics import neuron_frequency
from nplight.report import read_rows, read_run
from tests.report.samples import write_run


def test_counts_are_of_all_images_and_the_sample_is_bounded(tmp_path: Path) -> None:
    write_run(tmp_path, categories=3, images=20, parts=4)
    run = read_run(tmp_path)
    assert run.table is not None
    sample, counts = read_rows(run.table, categories=3, width=40, per_category=5)
    expected = neuron_frequency(run.table["neurons"], run.table["label"], num_classes=3, width=40)
    assert torch.equal(counts.counts.to_dense(), expected.counts.to_dense())
    assert torch.equal(counts.images, torch.tensor([20, 20, 20]))

    rows = run.table.to_pandas()
    assert np.bincount(sample.category).tolist() == [5, 5, 5]
    for place, file in enumerate(sample.files):
        (row,) = rows[rows["file"] == file].to_dict("records")
        assert (row["label"], row["probability"]) == (sample.category[place], sample.probability[place])
        assert row["neurons"][:, 0].tolist() == sample.neurons[place].tolist()
    chosen = rows[rows["file"].isin(sample.files)]
    for label, own in rows.groupby("label"):
        lowest = own.sort_values("checksum")["file"][:5]
        assert set(lowest) == set(chosen[chosen["label"] == label]["file"])
    assert np.bincount(sample.category[sample.first(2)]).tolist() == [2, 2, 2]


def test_a_run_without_image_paths_says_what_makes_them(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"conditions": []}')
    with pytest.raises(ArgumentError, match=r"`run` must have image paths, but .* has none; validate or predict makes"):
        read_run(tmp_path).image_paths("jas")


def test_the_sample_does_not_depend_on_how_the_rows_are_stored(tmp_path: Path) -> None:
    found = []
    for name, parts in (("one", 1), ("many", 7)):
        write_run(tmp_path / name, categories=2, images=30, parts=parts)
        table = read_run(tmp_path / name).table
        assert table is not None
        found.append(read_rows(table, categories=2, width=40, per_category=6)[0].files)
    assert found[0] == found[1]
