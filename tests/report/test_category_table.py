from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import torch

from nplight import PathBatch
from nplight.errors import RunFolderError
from nplight.metrics import neuron_frequency, pair_shares
from nplight.report import read_rows, read_run
from nplight.report.category_table import category_rows_of, likeness, read_removals
from nplight.store import RunFolder, write_part


@pytest.mark.parametrize("top_k", [1, 3])
def test_likeness_is_the_mean_over_pairs_of_images(top_k: int) -> None:
    draw = torch.Generator().manual_seed(0)
    neurons = torch.rand(24, 4, 8, generator=draw).argsort(-1)[..., :top_k]
    labels = torch.arange(24) % 3
    labels[0] = 3
    counts = neuron_frequency(neurons, labels, num_classes=4, width=8)
    found = likeness(counts, top_k)
    for category in range(3):
        own = neurons[labels == category]
        assert found[category].item() == pytest.approx(
            pair_shares(own, torch.zeros(len(own), dtype=torch.int64)).within.value
        )
    assert found[3].isnan()


def test_changes_are_those_of_the_file_at_the_main_tokens(finished: Path) -> None:
    run = read_run(finished)
    removals = read_removals(run)
    with (finished / "by_category.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["condition"] == "removed" and row["tokens"] == "path"]
    rows = [row for row in rows if not row["layers"] and not row["scale"] and row["kept"] == "1"]
    assert {row["method"] for row in rows} == set(removals.change)
    for row in rows:
        assert removals.change[row["method"]][int(row["category"])] == float(row["probability_deviation"])
        assert removals.images[int(row["category"])] == int(row["images"])


def test_columns_are_of_the_search(finished: Path) -> None:
    run = read_run(finished)
    assert run.table is not None
    table = run.table.where(search="jas")
    _, counts = read_rows(table, categories=10, width=max(run.widths), per_category=1)
    columns = category_rows_of(run, "jas", counts, read_removals(run))
    labels, predictions = (torch.as_tensor(table[name]) for name in ("label", "prediction"))
    for category in range(10):
        own = labels == category
        assert columns["images"][category] == own.sum()
        correct = (predictions[own] == category).double().mean().item()
        assert columns["correct"][category] == pytest.approx(correct, abs=1e-6)
        assert columns["correctLow"][category] <= columns["correct"][category] <= columns["correctHigh"][category]
    assert all(len(values) == 10 for values in columns.values())


def test_a_damaged_file_is_named(finished: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    (folder / "by_category.csv").write_text("method,condition\njas,removed\n")
    with pytest.raises(RunFolderError, match=r"by_category\.csv is damaged: .*; the same command again"):
        read_removals(read_run(folder))
    (folder / "by_category.csv").unlink()
    assert read_removals(read_run(folder)).change == {}


def test_images_without_labels_are_neither_right_nor_wrong(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    neurons = torch.randint(8, (6, 3, 1), generator=draw)
    scores, category, probability = torch.rand(6, 3, 1, generator=draw), torch.arange(6) % 2, torch.rand(6)
    batch = PathBatch(
        neurons, scores, scores.sum((1, 2)), category, probability, category, neurons, scores, probability
    )
    write_part(
        RunFolder(tmp_path),
        batch,
        index=torch.arange(6),
        files=list("abcdef"),
        labels=None,
        checksums=list(range(6)),
        search="jas",
    )
    run = read_run(tmp_path)
    _, counts = read_rows(run.image_paths("jas"), categories=2, width=8, per_category=1)
    columns = category_rows_of(run, "jas", counts, read_removals(run))
    assert columns["images"] == [3, 3]
    assert columns["correct"] == [None, None]
    assert columns["removed"] is None
