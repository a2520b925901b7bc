"""What the removal of a neuron alone does is written, read and given to the page."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from nplight.errors import RunFolderError
from nplight.metrics import Estimate
from nplight.report import read_run, report_html
from nplight.report.alone_file import page_alone, read_alone, write_alone
from nplight.results import RemovedAlone
from nplight.store import RunFolder
from tests.report.samples import data_of, write_run

NOTHING = Estimate(math.nan, math.nan, math.nan, 9)
MEASURED = [
    RemovedAlone(
        0, 7, 0, Estimate(-0.02, -0.03, -0.01, 9), Estimate(0.0, -0.01, 0.01, 9), Estimate(-0.02, -0.04, 0, 9)
    ),
    RemovedAlone(2, 3, 0, Estimate(0.01234, 0.0, 0.02, 9), NOTHING, NOTHING),
    RemovedAlone(0, 7, 1, NOTHING, NOTHING, NOTHING),
]


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    assert read_alone(tmp_path) is None
    assert write_alone(RunFolder(tmp_path), MEASURED, {"draws": 5}) == tmp_path / "removed_alone.json"
    assert read_alone(tmp_path) == MEASURED


def test_the_page_has_it_as_data(tmp_path: Path) -> None:
    write_run(tmp_path, categories=2, images=2)
    assert data_of(report_html(read_run(tmp_path)))["alone"] is None
    write_alone(RunFolder(tmp_path), MEASURED, {})
    alone = data_of(report_html(read_run(tmp_path)))["alone"]
    assert alone == page_alone(MEASURED, 2)
    assert alone["rows"]["L0N7"][0] == [0, 9, -0.02, -0.03, -0.01, 0.0, -0.02, -0.04, 0.0]
    assert alone["rows"]["L2N3"] == [[0, 9, 0.0123, 0.0, 0.02, None, None, None, None]]


def test_the_first_neurons_of_categories_are_the_last_to_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nplight.report.alone_file._MOST_ON_PAGE", 2)
    alone = page_alone(MEASURED, 2)
    assert alone is not None
    assert alone["short"]
    assert [row[0] for row in alone["rows"]["L0N7"]] == [0, 1]
    assert "L2N3" not in alone["rows"]


@pytest.mark.parametrize("content", ["{", "[]", '{"neurons": [{"layer": 0}]}', '{"neurons": 3}'])
def test_a_damaged_file_is_refused_with_the_way_out(tmp_path: Path, content: str) -> None:
    (tmp_path / "removed_alone.json").write_text(content)
    with pytest.raises(RunFolderError, match=r"removed_alone\.json is damaged: .*; report --alone writes it anew"):
        read_alone(tmp_path)
