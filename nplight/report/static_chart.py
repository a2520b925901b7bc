"""A chart drawn with matplotlib, for paper and for pages without JavaScript."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nplight.report.charts import Chart, Line, Panel
from nplight.report.static_style import DASHES, SYMBOLS, new_figure
from nplight.report.theme import distinct_names, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL_WIDTH = 55
_PANEL_HEIGHT = 46
_LEGEND_ROW = 3.6
_LETTER = 1.45
"""Millimetres: of a panel at least, of a panel, of a row of the legend, of a letter in it."""

_MOST_NAMES = 30


def static_chart(chart: Chart, width: float) -> Figure:
    """A chart without its title; inside `paper_style`.

    Searches that are not shown are left out.

    Args:
        chart: what is drawn.
        width: in millimetres.
    """
    columns = max(1, min(chart.columns, len(chart.panels), int(width // _PANEL_WIDTH)))
    rows = math.ceil(len(chart.panels) / columns)
    names = [line for line in [*chart.searches, *_levels(chart)] if line.style.shown]
    entry = 11 + _LETTER * max((len(line.name) for line in names), default=0)
    legend_columns = max(1, min(len(names), int(width // entry)))
    legend = _LEGEND_ROW * math.ceil(len(names) / legend_columns) + 3 if len(names) > 1 else 0
    single = 10 if len(chart.panels) == 1 and width > 2 * _PANEL_WIDTH else 0
    figure = new_figure(width, (_PANEL_HEIGHT + single) * rows + legend)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=chart.same_height).flatten().tolist()
    for number, (axes, panel) in enumerate(zip(grid, chart.panels)):
        _draw(axes, panel)
        if not (chart.same_height and number % columns):
            axes.set_ylabel(panel.up)
    for axes in grid[len(chart.panels) :]:
        axes.remove()
    if legend:
        handles = [_handle(line) for line in names]
        figure.legend(handles=handles, loc="outside lower left", ncols=legend_columns, handlelength=3.2)
    return figure


def static_matrix(
    values: npt.NDArray[np.float64],
    names: Sequence[str],
    order: Sequence[int] | None,
    *,
    width: float,
    unit: str,
    rows: str,
    columns: str,
) -> Figure:
    """Categories x categories as a heat map without a title; inside `paper_style`.

    Args:
        values: (categories, categories).
        names: of the categories.
        order: of the categories; `None`: by number.
        width: in millimetres.
        unit: of the values.
        rows: label of the rows.
        columns: label of the columns.
    """
    categories = list(range(len(values))) if order is None else list(order)
    figure = new_figure(width, 0.86 * width)
    axes = figure.subplots()
    image = axes.imshow(values[np.ix_(categories, categories)], interpolation="nearest", aspect="auto")
    axes.grid(visible=False)
    axes.set(xlabel=columns, ylabel=rows)
    if len(categories) <= _MOST_NAMES:
        distinct = distinct_names(names, 18)
        labels = [distinct[category] for category in categories]
        long = max(map(len, labels)) > 3
        turned: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if long else {}
        axes.set_xticks(range(len(labels)), labels, **turned)
        axes.set_yticks(range(len(labels)), labels)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    bar = figure.colorbar(image, ax=axes, label=unit, fraction=0.046, pad=0.03)
    bar.outline.set_visible(False)
    return figure


def static_selectivity(
    names: Sequence[str], accuracy: npt.NDArray[np.float64], order: Sequence[int] | None, width: float
) -> Figure:
    """Top-1 accuracy (%) of each category's images under each category's path; inside `paper_style`."""
    labels = {"unit": "top-1, %", "rows": "images of", "columns": "path of"}
    return static_matrix(accuracy, names, order, width=width, **labels)


def _draw(axes: Axes, panel: Panel) -> None:
    from matplotlib.ticker import NullLocator

    for line in panel.lines:
        if line.style.shown:
            _draw_line(axes, line)
    if panel.across.log:
        axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    ticks = panel.across.ticks
    long = sum(map(len, ticks.values())) > 4 * _PANEL_WIDTH / 5
    turned: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if long else {}
    axes.set_xticks(list(ticks), [shortened(label, 18) for label in ticks.values()], **turned)
    axes.set_xlabel(panel.across.title)
    axes.set_title(panel.title)


def _draw_line(axes: Axes, line: Line) -> None:
    style = line.style
    if line.band:
        axes.fill_between(line.x, line.low, line.high, color=style.colour, alpha=0.2, linewidth=0)
    axes.plot(
        line.x,
        line.y,
        color=style.colour,
        linestyle=DASHES["dot" if line.reference else style.dash],
        marker="" if line.reference else SYMBOLS[style.symbol],
        linewidth=0.6 if line.reference else 1.4 if style.main else 0.9,
        zorder=3 if style.main else 2,
    )


def _levels(chart: Chart) -> list[Line]:
    """The first line of every level to compare with, in order."""
    lines = [line for panel in chart.panels for line in panel.lines if line.reference]
    return list({line.name: line for line in reversed(lines)}.values())[::-1]


def _handle(line: Line) -> object:
    from matplotlib.lines import Line2D

    style = line.style
    if line.reference:
        label = shortened(line.name, 60)
        return Line2D([], [], color=style.colour, linestyle=DASHES["dot"], linewidth=0.6, label=label)
    return Line2D(
        [],
        [],
        color=style.colour,
        linestyle=DASHES[style.dash],
        marker=SYMBOLS[style.symbol],
        linewidth=1.4 if style.main else 0.9,
        label=shortened(line.name, 40),
    )
