from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from nplight.results import MeasuredPaths, category_columns, category_rows
from nplight.results.by_category import QUANTILES, category_quantiles
from nplight.store import RunFolder
from tests.results.samples import TESTED, drawn_control, drawn_logits, drawn_metrics


def measured_paths() -> MeasuredPaths:
    return MeasuredPaths({"jas": drawn_metrics("jas", 1)}, {"random": {"jas": drawn_control("random", 2)}})


def test_rows_are_the_means_of_each_category_with_images(tmp_path: Path) -> None:
    rows = list(category_rows(measured_paths(), 5))
    with_path = [condition for condition in TESTED if condition.kept is not None]
    assert len(rows) == 2 * len(with_path) * 4  # the fifth category has no images
    draw, labels = torch.Generator().manual_seed(1), torch.arange(40) % 4
    edited = {condition: drawn_logits(condition, draw).softmax(1) for condition in TESTED}
    clean = edited[TESTED[0]]
    for position, condition in enumerate(with_path):
        for category, row in enumerate(rows[4 * position : 4 * position + 4]):
            members = labels == category
            before, after = (values[members, category] for values in (clean, edited[condition]))
            assert (row["method"], row["condition"], row["category"], row["images"]) == (
                "jas", condition.name, category, 10
            )  # fmt: skip
            assert row["probability_deviation"] == pytest.approx(((after - before) / before).mean().item(), rel=1e-5)
    folder = RunFolder(tmp_path)
    folder.write_csv("by_category.csv", iter(rows), category_columns(measured_paths()))
    with (tmp_path / "by_category.csv").open(newline="") as file:
        assert [float(row["accuracy_deviation"]) for row in csv.DictReader(file)] == pytest.approx(
            [row["accuracy_deviation"] for row in rows]
        )


def test_quantiles_are_over_the_categories() -> None:
    rows, quantiles = list(category_rows(measured_paths(), 5)), category_quantiles(measured_paths())
    for position, row in enumerate(quantiles):
        values = [one["probability_deviation"] for one in rows[4 * position : 4 * position + 4]]
        assert row["probability_deviation"] == pytest.approx(np.quantile(values, QUANTILES).tolist(), rel=1e-5)
