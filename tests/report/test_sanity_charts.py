from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nplight.errors import ArgumentError
from nplight.report import read_run, report_html, sanity_figure, stability_figure


def test_the_figures_show_every_share_with_its_interval_and_the_floors(finished: Path) -> None:
    run = read_run(finished)
    stability = json.loads((finished / "stability.json").read_text())
    figure = stability_figure(run)
    lines = [trace for trace in figure.data if trace.name == "jas"]
    assert len(lines) == len(stability["levels"]) == 2
    for line, name in zip(lines, stability["levels"]):
        estimates = stability["searches"]["jas"]["kept"][name]
        assert list(line.y) == pytest.approx([100 * estimate["value"] for estimate in estimates], abs=1e-3)
        low = [point[1] for point in line.customdata]
        assert low == pytest.approx([100 * estimate["low"] for estimate in estimates], abs=2e-3)
    assert [title.text for title in figure.layout.annotations] == list(stability["levels"])
    floors = {trace.name: trace.y[0] for trace in figure.data}
    assert floors["random paths"] == pytest.approx(100 * stability["random"], abs=1e-3)
    same = stability["searches"]["jas"]["same_category"]["value"]
    assert floors["jas: same category"] == pytest.approx(100 * same, abs=1e-3)

    sanity = json.loads((finished / "sanity.json").read_text())
    (line,) = [trace for trace in sanity_figure(run).data if trace.name == "jas"]
    assert [point[0] for point in line.customdata] == [f"down to {step}" for step in sanity["steps"]]
    values = [100 * estimate["value"] for estimate in sanity["searches"]["jas"]["randomised"]]
    assert list(line.y) == pytest.approx(values, abs=1e-3)


def test_the_page_has_them_with_the_caveat(finished: Path) -> None:
    page = report_html(read_run(finished))
    for text in ('data-figure="stability"', 'data-figure="sanity"', "<h3>Read-out</h3>", "<h3>A wrong target</h3>"):
        assert text in page
    assert "the search was given the category that is read out here" in page


def test_a_run_without_them_says_how_to_have_them(finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    for name in ("stability.json", "sanity.json"):
        (run / name).unlink()
    page = report_html(read_run(run))
    assert "add a PathStability or a PathSanity to the callbacks" in page
    assert 'data-figure="stability"' not in page
    for figure, name in ((stability_figure, "PathStability"), (sanity_figure, "PathSanity")):
        with pytest.raises(ArgumentError, match=f"validate with a {name}"):
            figure(read_run(run))
