"""The charts of a run, and which searches they show."""

from __future__ import annotations

from pathlib import Path

import pytest

from nplight.errors import ArgumentError
from nplight.report import read_run
from nplight.report.run_charts import CHARTS, run_charts
from tests.report.samples import write_run


def test_a_run_has_the_charts_that_it_has_values_for(finished: Path, tmp_path: Path) -> None:
    assert list(run_charts(read_run(finished))) == list(CHARTS)
    write_run(tmp_path, categories=2, images=2)
    assert run_charts(read_run(tmp_path)) == {}


def test_a_search_looks_alike_in_every_chart(finished: Path) -> None:
    charts = run_charts(read_run(finished), ["random"])
    looks: dict[str, set[str]] = {}
    for chart in charts.values():
        for line in chart.searches:
            looks.setdefault(line.name, set()).add(f"{line.style}")
            assert line.style.shown == (line.name == "random")
    assert set(map(len, looks.values())) == {1}


@pytest.mark.parametrize(
    ("searches", "got"), [(["conductance"], "conductance"), ([], "none"), (["jas", "nosuch"], "nosuch")]
)
def test_searches_that_the_run_does_not_have_are_refused(finished: Path, searches: list[str], got: str) -> None:
    with pytest.raises(ArgumentError, match=f"`searches` must name 1 to 8 of jas, random, got {got}"):
        run_charts(read_run(finished), searches)
