from __future__ import annotations

import json
from pathlib import Path

import pytest

from nplight.report import (
    faithfulness_figure,
    pruning_figure,
    read_run,
    selectivity_figure,
)


def test_the_charts_show_the_figures_of_the_run(finished: Path) -> None:
    run = read_run(finished)
    metrics = json.loads((finished / "metrics.json").read_text())
    pruning = pruning_figure(run)
    drawn = {
        (trace.name, 0.5 if trace.xaxis in (None, "x") else 1.0, size): value
        for trace in pruning.data
        for size, value in zip(trace.x, trace.y)
    }
    kept = [row for row in metrics["conditions"] if row["condition"] == "kept"]
    rows = [row for row in kept if row["tokens"] == "path" and row["layers"] is None]
    assert len(rows) < len(kept)
    for row in rows:
        assert drawn[row["method"], row["pruned"], row["kept"]] == pytest.approx(100 * row["accuracy"], abs=1e-3)
    clean = 100 * metrics["conditions"][0]["accuracy"]
    assert drawn["clean: nothing pruned", 1.0, 4] == pytest.approx(clean)
    assert len(drawn) == len(rows) + 4

    curves = faithfulness_figure(run)
    lines = {trace.name: trace for trace in curves.data if trace.name}
    assert set(lines) == {"jas", "random"}
    for name, curve in metrics["faithfulness"].items():
        assert list(lines[name].x) == curve["sizes"]
        assert list(lines[name].y) == pytest.approx([100 * point["value"] for point in curve["accuracy"]], abs=1e-3)
    assert lines["random"].line.dash == "dash"
    assert sum(trace.fill == "toself" for trace in curves.data) == 2

    matrix = selectivity_figure(run, order=[3, 1, 0, 2, 4, 5, 6, 7, 8, 9])
    accuracy = json.loads((finished / "selectivity.json").read_text())["accuracy"]
    assert matrix.data[0].z[0][1] == round(100 * accuracy[3][1])
