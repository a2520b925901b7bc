"""The figures of docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nplight.report.theme import line_style, template


def draw(
    search: dict[str, Any], scaling: dict[str, Any], agreement: dict[str, Any], adaptive: dict[str, Any], folder: Path
) -> None:
    """Write the figures as SVG; needs Chrome or Chromium."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "search": _search(search["measured"]),
        "scaling": _scaling(scaling["measured"]),
        "agreement": _agreement(agreement["agreement"]),
        "adaptive": _adaptive(adaptive["errors"]),
    }
    for name, figure in figures.items():
        figure.update_layout(template=template(), paper_bgcolor="white", width=900)
        figure.write_image(folder / f"performance_{name}.svg")


def _search(measured: dict[str, Any]) -> go.Figure:
    names = list(measured)[::-1]
    seconds = [measured[name]["seconds_per_image"] for name in names]
    bars = go.Bar(x=seconds, y=names, orientation="h", text=[f"{value:.3g} s" for value in seconds])
    figure = go.Figure(bars)
    figure.update_layout(title="Seconds an image (logarithmic)", height=420, margin={"b": 50})
    figure.update_xaxes(type="log", title="seconds an image")
    return figure


def _scaling(measured: Sequence[dict[str, Any]]) -> go.Figure:
    panels = list(dict.fromkeys(row["changed"] for row in measured))
    figure = make_subplots(rows=1, cols=len(panels), shared_yaxes=True, subplot_titles=panels)
    for column, changed in enumerate(panels, start=1):
        for place, stream in enumerate(("exact", "frozen")):
            found = [row for row in measured if (row["changed"], row["patch_stream"]) == (changed, stream)]
            line = go.Scatter(
                x=[row["value"] for row in found],
                y=[row["seconds"] for row in found],
                name=stream,
                line=line_style(place),
                showlegend=column == 1,
            )
            figure.add_trace(line, row=1, col=column)
        values = sorted({row["value"] for row in measured if row["changed"] == changed})
        figure.update_xaxes(type="log", tickvals=values[::2], row=1, col=column)
    figure.update_yaxes(type="log")
    figure.update_yaxes(title="seconds", col=1)
    figure.update_layout(title="Seconds for a batch, one size changed at a time (both axes logarithmic)", height=400)
    figure.update_layout(margin={"t": 80})
    return figure


def _agreement(rows: Sequence[dict[str, Any]]) -> go.Figure:
    figure = go.Figure()
    points: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        rule, _, nodes = row["of"].rpartition(", ")
        if nodes.endswith(" nodes") and row["against"].startswith("64 Gauss") and rule != "frozen":
            points.setdefault(rule, []).append((int(nodes.split()[0]), 100 * row["neurons"]))
    for place, (rule, found) in enumerate(points.items()):
        nodes, share = zip(*found)
        figure.add_trace(go.Scatter(x=nodes, y=share, name=rule, line=line_style(place)))
    figure.update_layout(title="Neurons as with 64 Gauss-Legendre nodes", height=400)
    figure.update_xaxes(title="nodes")
    figure.update_yaxes(title="% of neurons")
    return figure


def _adaptive(errors: Sequence[dict[str, Any]]) -> go.Figure:
    layers = sorted({row["layer"] for row in errors})
    kinds = list(dict.fromkeys(row["rule"] for row in errors))
    titles = [f"layer {layer}" for layer in layers]
    figure = make_subplots(rows=1, cols=len(layers), shared_yaxes=True, subplot_titles=titles)
    for column, layer in enumerate(layers, start=1):
        for place, kind in enumerate(kinds):
            points = [row for row in errors if (row["layer"], row["rule"]) == (layer, kind)]
            line = go.Scatter(
                x=[row["nodes"] for row in points],
                y=[row["error"] for row in points],
                name=kind,
                line=line_style(place),
                showlegend=column == 1,
            )
            figure.add_trace(line, row=1, col=column)
        figure.update_xaxes(title="evaluations", row=1, col=column)
    figure.update_yaxes(type="log", exponentformat="power")
    figure.update_yaxes(title="relative error", col=1)
    figure.update_layout(title="Error of the best score of a layer (median of 40 digits, logarithmic)", height=460)
    figure.update_layout(margin={"t": 80}, legend={"orientation": "h", "y": -0.2})
    return figure
