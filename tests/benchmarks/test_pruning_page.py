from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks import pruning_page
from benchmarks.pruning_page import Mean, correlation, draw, page, rise, table, write_page
from benchmarks.pruning_study import trainings


def result(training: Any) -> dict[str, Any]:
    """As if burden rose with the share by its half, and re-activation took 0.1 from it and gave 2 images."""
    back = bool(training.reactivate)
    pruned = training.criterion != "none"
    return {
        **vars(training),
        "correct": 180 + training.seed - round(20 * training.share) + 2 * back,
        "images": 200,
        "burden": training.share / 2 - 0.1 * back + 0.001 * training.seed * pruned,
        "returned": 0.25 * back,
        "seconds": 6.0,
    }


RESULTS = [result(training) for training in trainings()]


def test_means_have_students_intervals() -> None:
    mean = Mean.of([1.0, 2.0, 3.0])
    assert (mean.value, mean.count) == (2, 3)
    assert mean.high - mean.value == pytest.approx(4.302653 / math.sqrt(3))
    assert mean.text() == "+2.0 (-0.5 … +4.5)"
    assert Mean.of([0.5]).text(100) == "+50.0"


def test_the_answers_are_those_of_the_results() -> None:
    assert rise(RESULTS).value == pytest.approx((0.95 - 0.5) / 2)
    value, low, high = correlation(RESULTS)
    assert 0 < low < value < high <= 1
    rows = table(RESULTS).splitlines()[2:]
    assert len(rows) == 36
    (row,) = [row for row in rows if row.startswith("| magnitude, re-activated | 90%")]
    assert [cell.partition(" (")[0] for cell in row.strip("| ").split(" | ")] == [
        "magnitude, re-activated", "90%", "82.5", "+8.0", "+35.1", "25",
    ]  # fmt: skip
    changes = pruning_page.changes_table(RESULTS, "reactivate").splitlines()[2:]
    assert [change.split(" | ")[0] for change in changes] == [
        "| joint integrated gradients: re-activated",
        "| magnitude: re-activated",
        "| joint integrated gradients: re-activated on RigL's schedule",
    ]
    assert [change.split(" | ")[1] for change in changes] == ["24", "12", "12"]
    assert all(" | -10.0 (-10.0 … -10.0) | +1.0 (+1.0 … +1.0) |" in change for change in changes)
    (merged,) = pruning_page.changes_table(RESULTS, "merged").splitlines()[2:]
    assert merged.startswith("| joint integrated gradients: 4 tokens merged | 24 | +0.0")


def test_every_variant_is_a_line_and_the_page_has_no_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = draw(RESULTS)
    assert len(figure.data) == 18
    line = figure.data[0]
    assert (list(line.x), len(line.y)) == ([50, 70, 90, 95], 4)
    written: list[Path] = []
    monkeypatch.setattr(type(figure), "write_image", lambda self, path: written.append(path))
    write_page(RESULTS, len(RESULTS), tmp_path)
    text = (tmp_path / "pruning.md").read_text()
    assert text == page(RESULTS, len(RESULTS))
    assert "114 trainings, 3 seeds" in text
    assert not any(mark in text for mark in "{}")
    assert written == [tmp_path / "figures" / "pruning_study.svg"]


def test_a_page_of_a_part_of_the_trainings_says_so() -> None:
    part = [one for one in RESULTS if one["seed"] < 2 and not one["reactivate"] and not one["merged"]]
    text = page(part, len(RESULTS))
    assert f"{len(part)} of 114 planned trainings, 2 seeds" in text
    assert text.count("No such pair was trained.") == 2
