"""Matrices of categories."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nplight.report import read_run, selectivity_figure
from nplight.report.result_figures import selectivity_caption


def test_the_matrix_has_the_values_of_the_run_in_the_given_order(finished: Path) -> None:
    run = read_run(finished)
    matrix = selectivity_figure(run, order=[3, 1, 0, 2, 4, 5, 6, 7, 8, 9])
    accuracy = json.loads((finished / "selectivity.json").read_text())["accuracy"]
    assert matrix.data[0].z[0][1] == round(100 * accuracy[3][1])
    own = np.diagonal(np.array(accuracy)).mean()
    assert f"keep {100 * own:.1f}% on average under the path of their own category" in matrix.layout.meta["caption"]


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ([[90, 80, 80], [20, 30, 20], [50, 50, 60]], ("own category and 50.0% under", "brighter rows than columns")),
        ([[10, 50, 90], [10, 50, 90], [10, 50, 90]], ("own category and 50.0% under", "brighter columns than rows")),
        ([[100, 50, 50], [50, 100, 50], [50, 50, 100]], ("own category and 50.0% under", "All other cells are equal")),
    ],
)
def test_the_caption_says_what_is_seen(values: list[list[float]], seen: tuple[str, str]) -> None:
    caption = selectivity_caption(np.array(values, dtype=float))
    assert all(part in caption for part in seen)


def test_categories_without_images_are_not_counted() -> None:
    values = np.array([[90.0, 80.0], [np.nan, np.nan]])
    assert "Images keep 90.0% on average" in selectivity_caption(values)
    assert selectivity_caption(np.full((2, 2), np.nan)) == ""
    assert selectivity_caption(np.array([[90.0]])) == ""
