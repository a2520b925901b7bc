"""Normalised faithfulness of a run whose searches attribute other objectives than the probability."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import plotly.graph_objects as go
from plotly.subplots import make_subplots
from rich.console import RenderableType
from rich.text import Text

from nplight.methods import is_control
from nplight.metrics import MEASURES, NormalisedFaithfulness, measures_among
from nplight.report.narrow_table import narrow_table
from nplight.report.run_data import Run
from nplight.report.theme import NEUTRAL, line_style, template
from nplight.results import Findings

LEGEND = (
    "(f(k) − f(none)) / (f(all) − f(none)) for k neurons kept per layer. CPR: the area under it over log(1 + k), 1 at "
    "best; CMD: the area between it and 1, 0 at best. Without a value: pruning every neuron is not shown to change the "
    "measure."
)

Curves = Mapping[str, Sequence[Mapping[str, Any]]]


class Areas(NamedTuple):
    """The areas of one curve as text, each with its interval."""

    tokens: str
    measure: str
    method: str
    cpr: tuple[str, str]
    cmd: tuple[str, str]


def areas(run: Run) -> list[Areas]:
    """The areas of every curve of a run, in groups by tokens and measure; none without another objective."""
    return _areas(_of_objectives(run.metrics.get("normalised_faithfulness", {})))


def normalised_tables(findings: Findings) -> list[RenderableType]:
    """The areas for a terminal, one table per tokens; none without another objective."""
    rows = _areas(_of_objectives(_plain(findings.normalised)))
    tables: list[RenderableType] = []
    for tokens, group in groupby(rows, key=lambda row: row.tokens):
        title = f"Normalised faithfulness, {_at(tokens)}"
        table = narrow_table(title, ["measure", "search"], [])
        table.columns[1].overflow = "fold"
        for area in ("CPR", "CMD"):
            table.add_column(area, justify="right", no_wrap=True)
        previous = None
        for row in group:
            if previous not in (None, row.measure):
                table.add_section()
            cells = [f"{value} [{interval}]" if interval else value for value, interval in (row.cpr, row.cmd)]
            table.add_row("" if row.measure == previous else row.measure, row.method, *cells)
            previous = row.measure
        tables.append(table)
    return [*tables, Text(LEGEND, style="dim")] if tables else []


def draw_normalised(run: Run) -> go.Figure | None:
    """Normalised faithfulness against neurons kept per layer, a panel per measure and tokens.

    Bars are the 95% intervals of the first search and of the control. `None` without another objective.
    """
    curves = _of_objectives(run.metrics.get("normalised_faithfulness", {}))
    shown = [curve for several in curves.values() for curve in several if curve["values"]]
    if not shown:
        return None
    measures, tokens = (list(dict.fromkeys(curve[name] for curve in shown)) for name in ("measure", "tokens"))
    figure = make_subplots(
        rows=len(measures),
        cols=len(tokens),
        subplot_titles=[f"{_title(measure)}, {_at(edited)}" for measure in measures for edited in tokens],
        shared_xaxes="all",
        vertical_spacing=0.24 / len(measures),
        horizontal_spacing=0.08,
    )
    named = set[str]()
    for number, (method, several) in enumerate(curves.items()):
        for curve in (curve for curve in several if curve["values"]):
            cell = {"row": measures.index(curve["measure"]) + 1, "col": tokens.index(curve["tokens"]) + 1}
            figure.add_trace(_line(curve, method, number, legend=method not in named), **cell)
            named.add(method)
    figure.update_xaxes(**_sizes_axis(shown[0]["sizes"]), showticklabels=True)
    figure.update_xaxes(title_text="neurons kept per layer", row=len(measures))
    height = 260 * len(measures) + 120
    return figure.update_layout(template=template(), title={"text": "Normalised faithfulness"}, height=height)


def _of_objectives(curves: Curves) -> Curves:
    """The curves where one of them is of another objective than the probability; else none."""
    names = {curve["measure"] for several in curves.values() for curve in several}
    return curves if names - set(MEASURES) else {}


def _plain(curves: Mapping[str, Sequence[NormalisedFaithfulness]]) -> Curves:
    return {method: [curve.to_dict() for curve in several] for method, several in curves.items()}


def _areas(curves: Curves) -> list[Areas]:
    kinds = dict.fromkeys((curve["tokens"], curve["measure"]) for several in curves.values() for curve in several)
    return [
        Areas(tokens, _title(measure), method, _text(curve["cpr"]), _text(curve["cmd"]))
        for tokens, measure in kinds
        for method, several in curves.items()
        for curve in several
        if (curve["tokens"], curve["measure"]) == (tokens, measure)
    ]


def _text(area: Mapping[str, Any] | None) -> tuple[str, str]:
    """Value and interval, which is empty if there is none."""
    if area is None or area["value"] is None:
        return "–", ""
    return f"{area['value']:.2f}", "" if area["low"] is None else f"{area['low']:.2f}, {area['high']:.2f}"


def _line(curve: Mapping[str, Any], method: str, number: int, *, legend: bool) -> go.Scatter:
    points = curve["values"]
    errors = {
        name: [0.0 if point[end] is None else abs(point[end] - point["value"]) for point in points]
        for name, end in (("array", "high"), ("arrayminus", "low"))
    }
    style = {"color": NEUTRAL, "dash": "dash"} if is_control(method) else line_style(number)
    return go.Scatter(
        x=[size + 1 for size in curve["sizes"]],
        y=[point["value"] for point in points],
        customdata=curve["sizes"],
        error_y={
            "type": "data",
            "symmetric": False,
            **errors,
            "thickness": 1,
            "width": 3,
            "visible": number == 0 or is_control(method),
        },
        mode="lines+markers",
        name=method,
        legendgroup=method,
        showlegend=legend,
        line=style,
        hovertemplate=f"{method}: %{{y:.2f}} with %{{customdata}} kept<extra></extra>",
    )


def _sizes_axis(sizes: Iterable[int]) -> dict[str, Any]:
    """A logarithmic axis of 1 + neurons kept, with ticks at the sizes, except those too near the previous tick."""
    ticks: list[int] = []
    for size in sizes:
        if not ticks or size + 1 >= 2 * (ticks[-1] + 1):
            ticks.append(size)
    values = [size + 1 for size in ticks]
    return {"type": "log", "tickvals": values, "ticktext": list(map(str, ticks)), "tickangle": 0}


def _title(measure: str) -> str:
    row = measures_among([measure]).get(measure)
    return measure if row is None else row.title


def _at(tokens: str) -> str:
    return f"{tokens} tokens"
