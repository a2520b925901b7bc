from __future__ import annotations

from pathlib import Path

import pytest

from nplight.metrics import MEASURES
from nplight.report import read_run
from nplight.report.result_sections import deviations, headline, summary
from tests.report.samples import write_run


def test_the_headline_is_of_the_main_search(finished: Path) -> None:
    run = read_run(finished)
    whole = [row for row in run.metrics["conditions"] if row["tokens"] in (None, "path") and row["layers"] is None]
    rows = {row["condition"]: row for row in whole if row["method"] in ("", "jas")}
    clean, removed, *_, kept = headline(run)
    assert clean.value == f"{100 * rows['clean']['accuracy']:.1f}%"
    assert removed.text == "mean change of probability, path removed"
    assert float(removed.value.rstrip("%").replace("−", "-")) == pytest.approx(
        100 * rows["removed"]["probability_deviation"], abs=0.005
    )
    assert kept.text == "top-1 accuracy, 1 neuron per layer kept, all others pruned"
    assert all(" … " in card.interval for card in (clean, removed, kept))
    control = {row["condition"]: row for row in whole if row["method"] == "random"}
    value = 100 * control["removed"]["probability_deviation"]
    assert removed.random.startswith(f"{value:+.2f}%, ".replace("-", "−"))
    assert clean.random == ""


def test_the_table_has_every_search_and_compared_measure(finished: Path) -> None:
    run = read_run(finished)
    table = deviations(run)
    compared = [
        measure for measure in MEASURES.values() for name in ("removed", "enhanced") if name in measure.compared
    ]
    assert len(table.measures) == len(compared)
    assert [row.search for row in table.rows] == ["jas", "random"]
    assert all(len(row.values) == len(table.measures) for row in table.rows)


def test_a_run_without_metrics_has_a_summary_alone(tmp_path: Path) -> None:
    write_run(tmp_path, categories=2, images=3)
    run = read_run(tmp_path)
    assert headline(run) == []
    assert deviations(run).measures == []
    values = dict(summary(run))
    assert values["Layers × neurons"] == "4 × 40"
    assert values["Paths found"] == "6"
    assert values["Search"] == "jas, 1 per layer"
    assert values["Time"] == "unknown"
