"""Figures of results: accuracy against neurons kept, faithfulness, selectivity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nplight.methods import is_control
from nplight.metrics import MEASURES, Measure
from nplight.metrics.drawing import pruning_rows
from nplight.report.run_data import Run
from nplight.report.theme import NEUTRAL, SCALE, distinct_names, enumerated, line_style, plain_text, template

_MOST_NAMES = 30


def draw_pruning(run: Run) -> go.Figure | None:
    """Measures against neurons kept per layer, one panel per measure and pruned share of the others.

    The measures are those that compare methods with a path kept: top-1 accuracy (%), and the run's other objectives.
    `None` without one.
    """
    results = pruning_rows(run.metrics.get("conditions", ()))
    measures = [
        measure
        for measure in run.measures.values()
        if "kept" in measure.compared and any(measure.name in result for result in results)
    ]
    if not measures:
        return None
    fractions = sorted({result["pruned"] for result in results})
    columns = min(2, len(fractions))
    height = -(-len(fractions) // columns)  # rows of panels per measure
    figure = make_subplots(
        rows=height * len(measures),
        cols=columns,
        subplot_titles=_panel_titles(fractions, height * columns, len(measures)),
        shared_yaxes="all" if len(measures) == 1 else "rows",
        vertical_spacing=0.16 / len(measures),
        horizontal_spacing=0.06,
    )
    for number, measure in enumerate(measures):
        for panel, fraction in enumerate(fractions):
            cell = {"row": number * height + panel // columns + 1, "col": panel % columns + 1}
            pruned = [result for result in results if result["pruned"] == fraction]
            for trace in _panel(run, pruned, measure, legend=number == panel == 0):
                figure.add_trace(trace, **cell)
            if panel + columns >= len(fractions):
                figure.update_xaxes(title_text="neurons kept", **cell)
            if panel % columns == 0:
                figure.update_yaxes(title_text=measure.label, **cell)
    figure.update_xaxes(**_sizes_axis(sorted({result["kept"] for result in results})))
    return _titled(figure, pruning_title(run), height=280 * height * len(measures) + 120)


def pruning_title(run: Run) -> str:
    """The title of the figure of measures against neurons kept."""
    return f"{enumerated(['Accuracy', *(row.title for row in run.objectives)])} against neurons kept"


def draw_faithfulness(run: Run) -> go.Figure | None:
    """Top-1 accuracy (%) against neurons kept per layer, all others pruned, from few to all; `None` without curves.

    Bands are the 95% intervals of the first method and of the control.
    """
    curves = run.metrics.get("faithfulness") or {}
    if not curves:
        return None
    figure = go.Figure()
    for number, (method, curve) in enumerate(curves.items()):
        style = _style(method, number)
        sizes, points = curve["sizes"], curve["accuracy"]
        if number == 0 or is_control(method):
            figure.add_trace(_band(sizes, points, method, style["color"]))
        figure.add_trace(
            go.Scatter(
                x=sizes,
                y=[_percent(point["value"]) for point in points],
                customdata=[[_percent(point["low"]), _percent(point["high"])] for point in points],
                mode="lines+markers",
                name=method,
                legendgroup=method,
                line={**style, "width": 2.5 if number == 0 else 1.5},
                hovertemplate=_hover(method, MEASURES["accuracy"]),
            )
        )
    sizes = next(iter(curves.values()))["sizes"]
    figure.update_xaxes(title="neurons kept per layer", **_sizes_axis(sizes))
    figure.update_yaxes(title="top-1 accuracy, %")
    return _titled(figure, "Faithfulness", height=440)


def draw_selectivity(run: Run, order: Sequence[int] | None = None) -> go.Figure | None:
    """Top-1 accuracy (%) of each category (rows) under each category's path (columns); `None` if not measured."""
    accuracy = run.selectivity.get("accuracy")
    if not accuracy:
        return None
    values = np.array(accuracy, dtype=float) * 100
    return matrix_figure(
        values,
        run.names,
        order,
        title="Selectivity",
        unit="top-1 %",
        rows="images of",
        columns="path of",
        span=(float(np.nanmin(values)), 100),
    )


def matrix_figure(
    values: Any,
    names: Sequence[str],
    order: Sequence[int] | None,
    *,
    title: str,
    unit: str,
    rows: str,
    columns: str,
    span: tuple[float, float],
) -> go.Figure:
    """Categories x categories as a heat map.

    Args:
        values: (categories, categories).
        names: of the categories.
        order: of the categories; `None`: by number.
        title: of the figure.
        unit: of the values.
        rows: label of the rows.
        columns: label of the columns.
        span: the values of the darkest and the lightest colour.
    """
    categories = list(range(len(values))) if order is None else list(order)
    distinct = distinct_names(names)
    labels = [plain_text(distinct[category]) for category in categories]
    figure = go.Figure(
        go.Heatmap(
            z=np.asarray(values)[np.ix_(categories, categories)].round(2 if span[1] <= 1 else 0).astype(np.float32),
            x=labels,
            y=labels,
            zmin=span[0],
            zmax=span[1],
            colorscale=SCALE,
            colorbar={"title": {"text": unit}, "thickness": 12},
            hovertemplate=f"{rows} %{{y}}<br>{columns} %{{x}}<br>{unit}: %{{z}}<extra></extra>",
        )
    )
    axis = {"type": "category", "showticklabels": len(categories) <= _MOST_NAMES, "showgrid": False, "ticks": ""}
    figure.update_xaxes(title=columns, tickangle=-45 if max(map(len, labels)) > 3 else 0, **axis)
    figure.update_yaxes(title=rows, autorange="reversed", **axis)
    return _titled(figure, title, height=560).update_layout(margin={"b": 56 if columns else 20})


def _hover(method: str, measure: Measure) -> str:
    low, high = (f"%{{customdata[{end}]:{measure.format}}}" for end in (0, 1))
    return f"{method}: %{{y:{measure.format}}}{_unit(measure)} [{low}, {high}] with %{{x}} kept<extra></extra>"


def _unit(measure: Measure) -> str:
    return f" {measure.unit}" if measure.unit not in ("", "%") else measure.unit


def _style(method: str, number: int) -> dict[str, str]:
    return {"color": NEUTRAL, "dash": "dash"} if is_control(method) else line_style(number)


def _sizes_axis(sizes: Sequence[int]) -> dict[str, Any]:
    """A logarithmic axis with ticks at the sizes, except those too near the previous tick."""
    ticks: list[int] = []
    for size in sizes:
        if not ticks or size >= 2 * ticks[-1]:
            ticks.append(size)
    return {"type": "log", "tickvals": ticks, "ticktext": list(map(str, ticks)), "tickangle": 0}


def _panel_titles(fractions: Sequence[float], panels: int, measures: int) -> list[str]:
    titles = [f"{fraction:.0%} pruned" for fraction in fractions]
    return (titles + [""] * (panels - len(titles))) * (measures - 1) + titles


def _panel(run: Run, results: Sequence[Mapping[str, Any]], measure: Measure, *, legend: bool) -> list[go.Scatter]:
    """One line for the unedited model, and one per method."""
    sizes = sorted({result["kept"] for result in results})
    clean = [_flat(sizes, row, measure, legend) for row in run.metrics["conditions"] if row["condition"] == "clean"]
    lines = [
        _with_interval([result for result in results if result["method"] == method], method, number, measure, legend)
        for number, method in enumerate(run.tested)
    ]
    return clean[:1] + lines


def _with_interval(
    results: Sequence[Mapping[str, Any]], method: str, number: int, measure: Measure, legend: bool
) -> go.Scatter:
    low, middle, high = (
        [_scaled(result.get(measure.name + end), measure) for result in results] for end in ("_low", "", "_high")
    )
    return go.Scatter(
        x=[result["kept"] for result in results],
        y=middle,
        customdata=list(zip(low, high)),
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [top - value for top, value in zip(high, middle)],
            "arrayminus": [value - bottom for bottom, value in zip(low, middle)],
            "thickness": 1,
            "width": 3,
            "visible": number == 0,
        },
        mode="lines+markers",
        name=method,
        legendgroup=method,
        showlegend=legend,
        line=_style(method, number),
        hovertemplate=_hover(method, measure),
    )


def _flat(sizes: Sequence[int], clean: Mapping[str, Any], measure: Measure, legend: bool) -> go.Scatter:
    return go.Scatter(
        x=[sizes[0], sizes[-1]],
        y=[_scaled(clean.get(measure.name), measure)] * 2,
        mode="lines",
        name="clean: nothing pruned",
        legendgroup="clean",
        showlegend=legend,
        line={"color": NEUTRAL, "dash": "longdash", "width": 1},
        hovertemplate=f"clean: %{{y:{measure.format}}}{_unit(measure)}<extra></extra>",
    )


def _band(sizes: Sequence[int], points: Sequence[dict[str, Any]], method: str, colour: str) -> go.Scatter:
    measured = [(size, point) for size, point in zip(sizes, points) if point["low"] is not None]
    lower = [_percent(point["low"]) for _, point in measured]
    upper = [_percent(point["high"]) for _, point in reversed(measured)]
    return go.Scatter(
        x=[size for size, _ in measured] + [size for size, _ in reversed(measured)],
        y=lower + upper,
        fill="toself",
        fillcolor=colour,
        opacity=0.2,
        line={"width": 0},
        mode="lines",
        legendgroup=method,
        showlegend=False,
        hoverinfo="skip",
    )


def _percent(value: float | None) -> float:
    return _scaled(value, MEASURES["accuracy"])


def _scaled(value: float | None, measure: Measure) -> float:
    """A value in the measure's unit; NaN without a value."""
    return float("nan") if value is None else round(value * measure.factor, 3)


def _titled(figure: go.Figure, title: str, *, height: int) -> go.Figure:
    return figure.update_layout(template=template(), title={"text": title}, height=height)
