"""Figures of the stability of paths and of their sanity checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nplight.report.run_data import Run
from nplight.report.theme import NEUTRAL, line_style, template


def draw_stability(run: Run) -> go.Figure | None:
    """Surviving share of the paths (%) against severity, one panel per perturbation; `None` if not measured.

    Dotted lines are the share of two images of the same category, the grey line that of random paths.
    """
    stability = run.stability
    if not stability:
        return None
    names, severities = list(stability["levels"]), stability["severities"]
    columns = min(2, len(names))
    figure = make_subplots(
        rows=-(-len(names) // columns), cols=columns, subplot_titles=names, shared_yaxes="all", vertical_spacing=0.14
    )
    for panel, name in enumerate(names):
        cell = {"row": panel // columns + 1, "col": panel % columns + 1}
        for number, (search, values) in enumerate(stability["searches"].items()):
            figure.add_trace(_line(severities, values["kept"][name], search, number, legend=panel == 0), **cell)
            floor = [values["same_category"]["value"]] * len(severities)
            figure.add_trace(_flat(severities, floor, f"{search}: same category", line_style(number)["color"]), **cell)
        random = [stability["random"]] * len(severities)
        figure.add_trace(_flat(severities, random, "random paths", NEUTRAL), **cell)
        figure.update_xaxes(title_text="severity", tickvals=severities, **cell)
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(title_text="share of the path, %", col=1)
    height = 260 * -(-len(names) // columns) + 120
    return figure.update_layout(template=template(), title={"text": "Stability"}, height=height)


def draw_sanity(run: Run) -> go.Figure | None:
    """Share of the paths (%) that stays while weights are randomised from the head down; `None` if not measured."""
    sanity = run.sanity
    if not sanity:
        return None
    figure, steps = go.Figure(), sanity["steps"]
    for number, (search, values) in enumerate(sanity["searches"].items()):
        figure.add_trace(_line(steps, values["randomised"], search, number, legend=True))
    figure.add_trace(_flat(steps, [sanity["random"]] * len(steps), "random paths", NEUTRAL))
    figure.update_xaxes(title_text="randomised from the head down to", type="category")
    figure.update_yaxes(title_text="share of the path, %", rangemode="tozero")
    return figure.update_layout(template=template(), title={"text": "Randomised weights"}, height=440)


def _line(
    places: Sequence[Any], estimates: Sequence[Mapping[str, Any]], search: str, number: int, *, legend: bool
) -> go.Scatter:
    low, middle, high = ([_percent(estimate[end]) for estimate in estimates] for end in ("low", "value", "high"))
    return go.Scatter(
        x=list(places),
        y=middle,
        customdata=list(zip(low, high)),
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [top - value for top, value in zip(high, middle)],
            "arrayminus": [value - bottom for bottom, value in zip(low, middle)],
            "thickness": 1,
            "width": 3,
        },
        mode="lines+markers",
        name=search,
        legendgroup=search,
        showlegend=legend,
        line=line_style(number),
        hovertemplate=f"{search}: %{{y:.1f}}% [%{{customdata[0]:.1f}}, %{{customdata[1]:.1f}}], %{{x}}<extra></extra>",
    )


def _flat(places: Sequence[Any], values: Sequence[float | None], name: str, colour: str) -> go.Scatter:
    return go.Scatter(
        x=list(places),
        y=[_percent(value) for value in values],
        mode="lines",
        name=name,
        showlegend=False,
        line={"color": colour, "dash": "dot", "width": 1},
        hovertemplate=f"{name}: %{{y:.1f}}%<extra></extra>",
    )


def _percent(value: float | None) -> float:
    return float("nan") if value is None else round(value * 100, 3)
