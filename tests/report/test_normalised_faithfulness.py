"""A run whose searches attribute other objectives shows them wherever it shows accuracy and probability."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from nplight.cli import main
from nplight.errors import RunFolderError
from nplight.metrics import MEASURES
from nplight.report import normalised_figure, pruning_figure, read_run, report_html
from nplight.report.comparison_text import findings_to_markdown
from nplight.report.figure_logging import log_figures
from nplight.report.measure_tables import measure_tables
from nplight.report.normalised_faithfulness import LEGEND, areas, normalised_tables
from nplight.report.run_charts import run_charts
from nplight.store import RunFolder
from tests.report.samples import data_of
from tests.report.test_figure_logging import WandbLogger
from tests.report.test_terminal_tables import shown
from tests.results.test_findings import drawn_findings


def written(folder: Path, *objectives: str) -> Path:
    found = drawn_findings(*objectives)
    RunFolder(folder).write_metrics(found.rows(), found.to_dict())
    return folder


def test_objectives_are_in_every_table_file_and_figure(tmp_path: Path) -> None:
    found, run = drawn_findings("logit", "margin"), read_run(written(tmp_path, "logit", "margin"))
    terminal, page = shown(*measure_tables(found)), report_html(run)
    assert max(map(len, terminal.splitlines())) <= 80
    rows = json.loads((tmp_path / "metrics.json").read_text())["conditions"]
    with (tmp_path / "metrics.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    for result, row, line in zip(found.results, rows, table, strict=True):
        for name in ("logit", "logit_deviation", "margin", "margin_deviation"):
            estimate = result.values[name]
            assert row[name] == float(line[name]) == estimate.value
            low = None if estimate.low != estimate.low else estimate.low
            assert row[f"{name}_low"] == low
    (removed,) = (result for result in found.results if result.method == "jas" and _is_removed(result.to_dict()))
    change = f"{removed.value('logit_deviation'):+.2f}"
    assert change in terminal
    assert f"| removed: Δ logit, nats | {change}" in findings_to_markdown(found).replace("**", "")
    assert f'data-head="removed: Δ logit">{change.replace("-", "−")}<br>' in page
    assert "change of top-1 accuracy (points), change of the logit (nats) and change of the margin (nats) when" in page
    assert "Accuracy, logit and margin against neurons kept" in page
    assert "logit: mean logit of the label, in nats." in " ".join(terminal.split())
    chart = run_charts(run)["pruning"]
    drawn = {panel.up for panel in chart.panels}
    assert drawn <= {"top-1, %", "logit, nats", "margin, nats"}
    assert drawn == {axis.title.text for axis in pruning_figure(run).select_yaxes()}
    for title in ("top-1", "logit", "margin"):
        assert f"{title}, 100% pruned" in chart.caption or title in " ".join(drawn)


def test_every_curve_and_its_areas_are_shown(tmp_path: Path) -> None:
    found, run = drawn_findings("logit"), read_run(written(tmp_path, "logit"))
    text, page, figure = shown(*normalised_tables(found)), report_html(run), normalised_figure(run)
    assert max(map(len, text.splitlines())) <= 80
    titles = {panel.title: panel for panel in run_charts(run)["normalised"].panels}
    assert "normalised" in data_of(page)["figures"]
    rows, drawn = areas(run), 0
    for method, curves in found.normalised.items():
        for curve in curves:
            title = {"accuracy": "top-1"}.get(curve.measure, curve.measure)
            (row,) = (row for row in rows if (row.tokens, row.measure, row.method) == (curve.tokens, title, method))
            for (value, interval), area in ((row.cpr, curve.cpr), (row.cmd, curve.cmd)):
                assert value == ("–" if area is None else f"{area.value:.2f}")
                assert interval == ("" if area is None else f"{area.low:.2f}, {area.high:.2f}")
                assert (f"{value} [{interval}]" if interval else value) in text
            if f"{title}, {curve.tokens} tokens" in titles:
                drawn += 1
                values = [round(point.value, 4) for point in curve.values]
                lines = [trace for trace in figure.data if trace.name == method and list(trace.y) == values]
                assert [size + 1 for size in curve.sizes] in [list(line.x) for line in lines]
    assert len(rows) == 2 * 2 * 3
    assert sum(trace.name is not None for trace in figure.data) == drawn > 0
    assert figure.data[-1].line.dash == "dash"
    logger = WandbLogger()
    log_figures([logger], run, step=1)
    assert "paths/normalised" in logger.logged


def test_a_run_of_the_probability_alone_is_shown_as_before(tmp_path: Path) -> None:
    run = read_run(written(tmp_path))
    assert areas(run) == []
    assert list(run.measures) == list(MEASURES)
    page = report_html(run)
    assert "<h3>Accuracy against neurons kept</h3><p>Top-1 accuracy (%) on held-out images" in page
    assert "label&#39;s probability (%) and change of top-1 accuracy (points) when the category path" in page
    assert LEGEND[:20] not in page
    assert normalised_tables(drawn_findings()) == []


def test_a_run_of_before_objectives_were_measured_is_reported(tmp_path: Path) -> None:
    run = RunFolder(written(tmp_path))
    run.claim("search jas", {"method": "jas", "objective": "logit"})
    run.release()
    content = json.loads((tmp_path / "metrics.json").read_text())
    del content["normalised_faithfulness"]
    run.write("metrics.json", json.dumps(content))
    main(["report", str(tmp_path)])
    assert "logit</td>" not in (tmp_path / "report.html").read_text()


def test_damaged_curves_are_refused(tmp_path: Path) -> None:
    written(tmp_path, "logit")
    content = json.loads((tmp_path / "metrics.json").read_text())
    for curve in content["normalised_faithfulness"]["jas"]:
        curve["values"] = curve["values"][:1]
    (tmp_path / "metrics.json").write_text(json.dumps(content))
    with pytest.raises(RunFolderError, match=r"metrics.json is damaged: .*a curve must have a value for each size"):
        read_run(tmp_path)


def _is_removed(row: dict[str, object]) -> bool:
    return (row["condition"], row["tokens"], row["layers"]) == ("removed", "path", None)
