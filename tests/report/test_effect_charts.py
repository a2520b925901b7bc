"""Charts of the effect of paths have the values of the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nplight.report import Run, read_run
from nplight.report.charts import Chart, search_styles
from nplight.report.effect_charts import (
    depth_chart,
    dose_chart,
    faithfulness_chart,
    normalised_chart,
    pruning_chart,
)


@pytest.fixture(scope="module")
def run(finished: Path) -> Run:
    return read_run(finished)


@pytest.fixture(scope="module")
def rows(finished: Path) -> list[dict[str, Any]]:
    conditions: list[dict[str, Any]] = json.loads((finished / "metrics.json").read_text())["conditions"]
    return [row for row in conditions if row["tokens"] in (None, "path")]


def points(chart: Chart | None) -> dict[tuple[str, str, str], tuple[float, float, float]]:
    """(panel, line, label of the position) -> value, low and high."""
    assert chart is not None
    return {
        (panel.title, line.name, panel.across.labels[x]): (y, low, high)
        for panel in chart.panels
        for line in panel.lines
        if not line.reference
        for x, y, low, high in zip(line.x, line.y, line.low, line.high)
    }


def ends(row: dict[str, Any], measure: str) -> list[float]:
    return [100 * row[measure + end] for end in ("", "_low", "_high")]


def styles(run: Run) -> Any:
    return search_styles(run.tested)


def test_pruning_has_every_number_kept(run: Run, rows: list[dict[str, Any]]) -> None:
    chart = pruning_chart(run, styles(run))
    drawn = points(chart)
    assert chart is not None
    titles = {panel.title for panel in chart.panels}
    shown = [row for row in rows if row["condition"] == "kept" and row["layers"] is None]
    shown = [row for row in shown if f"{row['pruned']:.0%} pruned" in titles]
    assert len(drawn) == len(shown) > 0
    for row in shown:
        key = (f"{row['pruned']:.0%} pruned", row["method"], str(row["kept"]))
        assert drawn[key] == pytest.approx(ends(row, "accuracy"), abs=1e-3)
    for panel in chart.panels:
        (level,) = (line for line in panel.lines if line.reference)
        assert list(level.y) == pytest.approx([100 * rows[0]["accuracy"]] * 2)


def test_a_dose_goes_through_no_change_at_a_factor_of_one(run: Run, rows: list[dict[str, Any]]) -> None:
    drawn = points(dose_chart(run, styles(run)))
    shown = [row for row in rows if row["condition"] in ("removed", "enhanced", "scaled") and row["layers"] is None]
    for row in shown:
        label = {"removed": "0", "enhanced": "2"}.get(row["condition"], f"{row['scale'] or 0:g}")
        assert drawn["", row["method"], label] == pytest.approx(ends(row, "probability_deviation"), abs=1e-3)
    assert drawn["", "jas", "1"] == (0, 0, 0)
    assert len(drawn) == len(shown) + 2


def test_depth_ends_with_all_layers(run: Run, rows: list[dict[str, Any]]) -> None:
    chart = depth_chart(run, styles(run))
    drawn = points(chart)
    titles = {"path removed": "removed", "path kept, all others pruned": "kept"}
    assert chart is not None
    for panel in chart.panels:
        shown = [row for row in rows if row["condition"] == titles[panel.title] and row["kept"] == run.top_k]
        shown = [row for row in shown if row["pruned"] in (None, 1)]
        assert len(shown) > 2
        for row in shown:
            label = str(row["layers"] or len(run.widths))
            assert drawn[panel.title, row["method"], label] == pytest.approx(ends(row, "probability"), abs=1e-3)


def test_curves_have_the_points_of_the_run(finished: Path, run: Run) -> None:
    metrics = json.loads((finished / "metrics.json").read_text())
    drawn = points(faithfulness_chart(run, styles(run)))
    for name, curve in metrics["faithfulness"].items():
        for size, point in zip(curve["sizes"], curve["accuracy"]):
            wanted = [float("nan") if point[end] is None else 100 * point[end] for end in ("value", "low", "high")]
            assert drawn["", name, str(size)] == pytest.approx(wanted, abs=1e-3, nan_ok=True)
    drawn = points(normalised_chart(run, styles(run)))
    curves = {
        (f"{curve['measure'].replace('accuracy', 'top-1')}, {curve['tokens']} tokens", name): curve
        for name, several in metrics["normalised_faithfulness"].items()
        for curve in several
    }
    checked = 0
    for (title, name, label), (value, _, _) in drawn.items():
        curve = curves[title, name]
        assert value == pytest.approx(curve["values"][curve["sizes"].index(int(label))]["value"], abs=1e-3)
        checked += 1
    assert checked > 4


def test_a_run_without_the_conditions_has_no_chart(tmp_path: Path, finished: Path) -> None:
    metrics = json.loads((finished / "metrics.json").read_text())
    for name in ("faithfulness", "normalised_faithfulness"):
        del metrics[name]
    metrics["conditions"] = [row for row in metrics["conditions"] if row["condition"] in ("clean", "removed")]
    metrics["conditions"] = [row for row in metrics["conditions"] if row["layers"] is None]
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    run = read_run(tmp_path)
    for chart in (pruning_chart, dose_chart, depth_chart, faithfulness_chart, normalised_chart):
        assert chart(run, styles(run)) is None
