"""Matrices of categories as heat maps, selectivity among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from nplight.report.run_data import Run
from nplight.report.theme import SCALE, distinct_names, plain_text, template

_MOST_NAMES = 30


def draw_selectivity(run: Run, order: Sequence[int] | None = None) -> go.Figure | None:
    """Top-1 accuracy (%) of each category (rows) under each category's path (columns); `None` if not measured."""
    values = selectivity_values(run)
    if values is None:
        return None
    figure = matrix_figure(
        values,
        run.names,
        order,
        title="Selectivity",
        unit="top-1 %",
        rows="images of",
        columns="path of",
        span=(float(np.nanmin(values)), 100),
    )
    return figure.update_layout(meta={"caption": selectivity_caption(values)})


def selectivity_values(run: Run) -> npt.NDArray[np.float64] | None:
    """Top-1 accuracy (%) of each category's images (rows) under each category's path (columns); `None` if unknown."""
    accuracy = run.selectivity.get("accuracy")
    return np.array(accuracy, dtype=np.float64) * 100 if accuracy else None


def selectivity_caption(values: npt.NDArray[np.float64]) -> str:
    """What is seen: images under their own category's path against other paths, and what the columns have in common.

    Args:
        values: (categories, categories), NaN where there are no images.
    """
    own = np.diagonal(values)
    others = np.where(np.eye(len(values), dtype=bool), np.nan, values)
    tested = ~np.isnan(own) & ~np.isnan(others).all(1)
    if not tested.any():
        return ""
    rows, own = others[tested], own[tested]
    return (
        f"Images keep {own.mean():.1f}% on average under the path of their own category and {np.nanmean(rows):.1f}% "
        f"under those of others. {_spread(rows)}"
    )


def _spread(rows: npt.NDArray[np.float64]) -> str:
    """Whether the cells off the diagonal differ by the images' category, which gives bright rows, or by the path's."""
    known = rows[:, ~np.isnan(rows).all(0)]
    by_row, by_column = (float(np.nanmean(known, axis).std()) for axis in (1, 0))
    if not max(by_row, by_column) > 0:
        return "All other cells are equal."
    kind = "rows than columns: what is left depends more on the images than on whose path is kept"
    if by_column > by_row:
        kind = "columns than rows: what is left depends more on whose path is kept than on the images"
    return f"Off the diagonal there are brighter {kind}."


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


def _titled(figure: go.Figure, title: str, *, height: int) -> go.Figure:
    return figure.update_layout(template=template(), title={"text": title}, height=height)
