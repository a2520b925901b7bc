"""A chart as a Plotly figure has the values of the chart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nplight.report import read_run
from nplight.report.charts import Axis, Chart, Line, Panel, search_styles
from nplight.report.plotly_chart import plotly_chart
from nplight.report.run_charts import CHARTS, run_charts


def test_every_value_is_drawn_with_its_interval(finished: Path) -> None:
    charts = run_charts(read_run(finished))
    assert list(charts) == list(CHARTS)
    for chart in charts.values():
        figure = plotly_chart(chart)
        named = [trace for trace in figure.data if trace.name]
        lines = [line for panel in chart.panels for line in panel.lines]
        assert [trace.name for trace in named] == [line.name for line in lines]
        for trace, line in zip(named, lines):
            assert list(trace.x) == list(line.x)
            assert np.array_equal(trace.y, line.y, equal_nan=True)
            assert trace.line.color == line.style.colour
            if line.low:
                assert np.array_equal([point[1] for point in trace.customdata], line.low, equal_nan=True)
        bands = [trace for trace in figure.data if trace.fill == "toself"]
        assert len(bands) == sum(line.band for line in lines)
        assert figure.layout.meta["caption"] == chart.caption
        assert sum(trace.showlegend is not False for trace in named) == len(chart.searches)
        ticks = chart.panels[0].across.ticks
        assert dict(zip(figure.layout.xaxis.tickvals, figure.layout.xaxis.ticktext)) == ticks


def test_further_searches_wait_in_the_legend() -> None:
    styles = search_styles([f"<b>{number}" for number in range(9)])
    lines = [Line(name, style, [1.0], [2.0]) for name, style in styles.items()]
    figure = plotly_chart(Chart("", [Panel("", lines, Axis("", {1.0: "1"}), "")]))
    assert [trace.visible for trace in figure.data] == [True] * 8 + ["legendonly"]
    assert figure.data[0].name == "&lt;b&gt;0"


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (3, 2, 2), (4, 2, 2)])
def test_panels_have_their_own_axes(count: int, columns: int, rows: int) -> None:
    style = search_styles(["jas"])["jas"]
    panels = [
        Panel(f"panel {number}", [Line("jas", style, [1.0], [float(number)])], Axis("", {1.0: "1"}), "")
        for number in range(count)
    ]
    figure = plotly_chart(Chart("", panels, columns))
    assert len({trace.xaxis for trace in figure.data}) == count
    tops = {round(axis.domain[1], 6) for axis in figure.select_yaxes()}
    assert len(tops) == rows
    if rows > 1:
        (upper, lower) = sorted({tuple(axis.domain) for axis in figure.select_yaxes()}, reverse=True)
        pixels = (upper[0] - lower[1]) * (figure.layout.height - 130)
        assert pixels > 75
