"""A measure is one row of `MEASURES`: whatever shows measures shows it."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor

from nplight.metrics import MEASURES, ConditionMeasure, ConditionMetrics, Measure, PredictedBatch
from nplight.report import pruning_figure, read_run, report_html
from nplight.report.comparison_text import findings_to_markdown, to_latex
from nplight.report.terminal_tables import findings_tables
from nplight.results import MeasuredPaths, findings
from nplight.store import RunFolder
from tests.results.samples import CONDITIONS, drawn_metrics


def surprise(batch: PredictedBatch) -> Tensor:
    return -batch.probability.clamp(min=1e-6).log()


SURPRISE = ConditionMeasure(
    name="surprise",
    title="surprise",
    unit="nats",
    sign=-1,
    format=".3f",
    description="negative log-probability of the label",
    per_image=surprise,
)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ConditionMeasure:
    monkeypatch.setitem(MEASURES, SURPRISE.name, SURPRISE)
    return SURPRISE


def printed(metrics: dict[str, ConditionMetrics], folder: Path) -> str:
    """What the terminal shows of them, 80 columns wide; their files are written to the folder."""
    result = findings(MeasuredPaths(metrics), None, top_k=1, widths=[64, 64], num_classes=5, replicates=20)
    run = RunFolder(folder)
    run.write_metrics(result.rows(), result.to_dict())
    run.write("comparison.md", findings_to_markdown(result))
    run.write("comparison.tex", to_latex(result.comparison))
    console = Console(file=io.StringIO(), width=80)
    for part in findings_tables(result, folder, verbose=True):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _is_removed(row: dict[str, Any]) -> bool:
    return (row["condition"], row["tokens"], row["layers"]) == ("removed", "path", None)


def test_a_measure_of_one_row_is_in_every_file_table_and_figure(toy: ConditionMeasure, tmp_path: Path) -> None:
    metrics = {name: drawn_metrics(name, seed) for seed, name in enumerate(("jas", "random"), 1)}
    shown = printed(metrics, tmp_path)
    removed, kept = (metrics["jas"].compute()[place].values["surprise"] for place in (1, 4))
    texts = [f"{value:.3f}" for value in (removed.value, kept.value)]

    rows = json.loads((tmp_path / "metrics.json").read_text())["conditions"]
    (place,) = (place for place, row in enumerate(rows) if _is_removed(row) and row["method"] == "jas")
    written = [rows[place]["surprise" + end] for end in ("", "_low", "_high")]
    assert written == [removed.value, removed.low, removed.high]
    with (tmp_path / "metrics.csv").open(newline="") as file:
        assert float(list(csv.DictReader(file))[place]["surprise"]) == removed.value
    for text in texts:
        assert text in shown
        assert text in (tmp_path / "comparison.md").read_text()
        assert text in (tmp_path / "comparison.tex").read_text()
    assert "surprise: negative log-probability of the label." in shown.replace("\n", " ")
    assert "| removed: surprise, nats |" in (tmp_path / "comparison.md").read_text()
    alone = printed({"jas": metrics["jas"]}, tmp_path / "alone")
    assert all(text in alone for text in texts)
    assert max(map(len, (shown + alone).splitlines())) <= 80

    run = read_run(tmp_path)
    page = report_html(run)
    assert f'data-head="removed: surprise">{texts[0]}<br>' in page
    figure = pruning_figure(run)
    assert "surprise, nats" in [axis.title.text for axis in figure.select_yaxes()]
    assert round(kept.value, 4) in [value for trace in figure.data for value in trace.y]


def test_a_run_of_before_a_measure_is_shown_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed({"jas": drawn_metrics("jas", 1)}, tmp_path)
    before = pruning_figure(read_run(tmp_path)).to_json()
    monkeypatch.setitem(MEASURES, SURPRISE.name, SURPRISE)
    assert 'data-head="removed: surprise">–<br>' in report_html(read_run(tmp_path))
    assert pruning_figure(read_run(tmp_path)).to_json() == before


def test_a_smaller_value_may_be_the_better_one(toy: ConditionMeasure) -> None:
    metrics = {name: drawn_metrics(name, seed) for seed, name in enumerate(("jas", "random"), 1)}
    comparison = findings(
        MeasuredPaths(metrics), None, top_k=1, widths=[64, 64], num_classes=5, replicates=20
    ).comparison
    for row in comparison.rows:
        if row.compared.measure is toy:
            assert row.compared.condition is not None
            # A removed path should surprise, a kept one should not.
            choose = max if row.compared.condition.name == "removed" else min
            values = [estimate.value for estimate in row.estimates]
            assert row.best == [value == choose(values) for value in values]


@pytest.mark.parametrize("over", ["images", "categories"])
def test_a_measure_is_the_mean_over_images_or_over_categories(monkeypatch: pytest.MonkeyPatch, over: str) -> None:
    row = ConditionMeasure(name="surprise", title="surprise", per_image=surprise, over=over)  # type: ignore[arg-type]
    monkeypatch.setitem(MEASURES, "surprise", row)
    draw = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 0, 0, 1, 3])
    probabilities = [torch.rand(5, 4, generator=draw, dtype=torch.float64) for _ in CONDITIONS]
    metrics = ConditionMetrics(CONDITIONS, 4, replicates=0)
    for part in (slice(0, 2), slice(2, 5)):
        metrics.update([scores[part] for scores in probabilities], labels[part], torch.arange(5)[part])
    for scores, result in zip(probabilities, metrics.compute()):
        values = -scores.gather(1, labels[:, None])[:, 0].log()
        expected = values.mean() if over == "images" else (values[:3].mean() + values[3] + values[4]) / 3
        assert result.values["surprise"].value == pytest.approx(expected.item(), rel=1e-6)
        assert result.values["surprise"].images == 5


def test_values_are_written_in_their_unit() -> None:
    assert MEASURES["accuracy_deviation"].text(-0.0125) == "-1.25"
    assert Measure(name="a", title="a score", format="+.3g").text(0.5) == "+0.5"
    assert [MEASURES["accuracy"].text(value) for value in (None, math.nan)] == ["–", "–"]
    assert MEASURES["accuracy_deviation"].label == "Δ top-1, points"
    assert Measure(name="a", title="a score").label == Measure(name="a", title="a score").column == "a score"


def test_every_measure_has_its_name_a_column_that_fits_and_a_description() -> None:
    for name, measure in MEASURES.items():
        assert measure.name == name
        assert len(measure.column) <= 9
        assert measure.description
