"""A chart drawn with Plotly, for a browser."""

from __future__ import annotations

from collections.abc import Iterator

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nplight.report.charts import Chart, Line, Panel
from nplight.report.theme import plain_text, template

_ROW = 280
_BETWEEN = 98
"""Pixels: of a row of panels, and between two rows, for the title of the axis above and of the panel beneath."""


def plotly_chart(chart: Chart) -> go.Figure:
    """A chart as a Plotly figure; its caption is `layout.meta["caption"]`.

    Searches that are not shown are in the legend, and appear when they are clicked there.
    """
    rows = -(-len(chart.panels) // chart.columns)
    titles = [plain_text(panel.title) for panel in chart.panels]
    figure = make_subplots(
        rows=rows,
        cols=chart.columns,
        subplot_titles=titles if any(titles) else None,
        shared_yaxes="all" if chart.same_height else False,
        vertical_spacing=_BETWEEN / (_ROW * rows) if rows > 1 else 0,
        horizontal_spacing=0.09 if chart.columns > 1 else 0,
    )
    named = set[str]()
    for number, panel in enumerate(chart.panels):
        cell = {"row": number // chart.columns + 1, "col": number % chart.columns + 1}
        for line in panel.lines:
            for trace in _traces(panel, line, legend=line.name not in named):
                figure.add_trace(trace, **cell)
            named.add(line.name)
        ticks = panel.across.ticks
        kind = {"type": "log"} if panel.across.log else {}
        figure.update_xaxes(
            title_text=panel.across.title,
            tickvals=list(ticks),
            ticktext=list(ticks.values()),
            tickangle=0,
            **kind,
            **cell,
        )
        if not (chart.same_height and number % chart.columns):
            figure.update_yaxes(title_text=panel.up, **cell)
    height = _ROW * rows + 120 if len(chart.panels) > 1 else 440
    return figure.update_layout(
        template=template(), title={"text": chart.title}, height=height, meta={"caption": chart.caption}
    )


def _traces(panel: Panel, line: Line, *, legend: bool) -> Iterator[go.Scatter]:
    visible = True if line.style.shown else "legendonly"
    name = plain_text(line.name)
    if line.band:
        yield _band(line, visible)
    yield go.Scatter(
        x=list(line.x),
        y=list(line.y),
        customdata=[(panel.position(x), low, high) for x, low, high in zip(line.x, line.low, line.high)] or None,
        mode="lines" if line.reference else "lines+markers",
        name=name,
        legendgroup=name,
        showlegend=legend and not line.reference,
        visible=visible,
        line={
            "color": line.style.colour,
            "dash": "dot" if line.reference else line.style.dash,
            "width": 1 if line.reference else 2.5 if line.style.main else 1.5,
        },
        marker={"symbol": line.style.symbol, "size": 6},
        hovertemplate=_hover(panel, line, name),
        zorder=1 if line.style.main and not line.reference else 0,
    )


def _hover(panel: Panel, line: Line, name: str) -> str:
    value = f"{name}: %{{y:{panel.format}}}{panel.unit}"
    if not line.low:
        return f"{value}<extra></extra>"
    low, high = (f"%{{customdata[{end}]:{panel.format}}}" for end in (1, 2))
    return f"{value} [{low}, {high}], %{{customdata[0]}}<extra></extra>"


def _band(line: Line, visible: object) -> go.Scatter:
    measured = [point for point in zip(line.x, line.low, line.high) if point[1] == point[1] and point[2] == point[2]]
    return go.Scatter(
        x=[x for x, _, _ in measured] + [x for x, _, _ in reversed(measured)],
        y=[low for _, low, _ in measured] + [high for _, _, high in reversed(measured)],
        fill="toself",
        fillcolor=line.style.colour,
        opacity=0.2,
        line={"width": 0},
        mode="lines",
        legendgroup=plain_text(line.name),
        showlegend=False,
        visible=visible,
        hoverinfo="skip",
    )
