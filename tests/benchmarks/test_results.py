"""docs/results.md holds what the digits run, the planted models and the simulations measured, and no other number."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ground_truth import RESULTS as PLANTED
from benchmarks.results import COVERAGE, RESULTS, main, page
from benchmarks.results_record import CONFIG, configuration, write_record
from benchmarks.results_tables import Conditions, interval
from nplight.data import DigitsDataModule
from nplight.planted import Judgements

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "results.md"


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / RESULTS).read_text())
    return content


def test_the_page_is_what_its_command_writes(record: dict[str, Any]) -> None:
    planted, coverage = (json.loads((ROOT / name).read_text()) for name in (PLANTED, COVERAGE))
    assert PAGE.read_text(encoding="utf-8") == page(record, Judgements.from_dict(planted), coverage)


def test_the_command_writes_the_page_from_stored_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    main(None, output=str(tmp_path / "results.md"))
    assert (tmp_path / "results.md").read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")


def test_the_stored_results_are_of_the_configuration(record: dict[str, Any]) -> None:
    assert record["configuration"] == configuration(ROOT / CONFIG), "run `python -m benchmarks.results` again"


def test_stored_results_are_read_as_they_are_written(record: dict[str, Any], tmp_path: Path) -> None:
    write_record(record, tmp_path / "record.json")
    assert (tmp_path / "record.json").read_text() == (ROOT / RESULTS).read_text()


def test_the_page_counts_the_digits_as_the_data_module_splits_them() -> None:
    data = DigitsDataModule()
    pattern = r"trained on ([\d,]+) digits\..*on ([\d,]+) other digits.*on the ([\d,]+) that"
    counts = re.search(pattern, " ".join(PAGE.read_text().split()))
    assert counts is not None
    found = [int(count.replace(",", "")) for count in counts.groups()]
    assert found == [len(data.train_data()), *(len(split) for split in data.splits())]  # type: ignore[arg-type]


def test_every_condition_with_a_path_has_its_control(record: dict[str, Any]) -> None:
    conditions = Conditions(record)
    rows = [row for row in conditions.rows if row["method"] in conditions.searches]
    assert rows
    for row in rows:
        if row["method"] != "random" and row["condition"] != "own clean":
            assert row["probability_vs_random"] is not None, row


def test_no_interval_is_a_point(record: dict[str, Any]) -> None:
    rows = [row for row in record["conditions"] if row["condition"] not in ("clean", "own clean")]
    for row in rows:
        for low in (name for name in row if name.endswith("_low")):
            high = low.removesuffix("_low") + "_high"
            assert row[low] is None or row[low] < row[high], (row, low)


def test_an_interval_is_written_in_its_unit() -> None:
    assert interval({"value": 0.5, "low": 0.25, "high": 0.75}, ".0f", 100) == "50 [25, 75]"
    assert interval({"value": -0.0001, "low": -0.5, "high": 0.5}, "+.1f") == "0.0 [-0.5, +0.5]"
    assert interval({"value": 1.0, "low": None, "high": None}, ".2f") == "1.00"
    assert interval({"value": None, "low": None, "high": None}, ".2f") == "–"
