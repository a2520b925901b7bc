"""Figures of the paths: lines through the layers, neuron use, categories and images by likeness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from torch import Tensor

from nplight.paths import CategoryPaths
from nplight.report.neuron_use import Use
from nplight.report.path_rows import PathSample
from nplight.report.result_figures import matrix_figure
from nplight.report.theme import COLOURS, NEUTRAL, SCALE, distinct_names, marker_style, plain_text, template

BINS = 128
"""The most columns of the neuron-use map; wider layers share columns."""

MOST_COLOURED = 21
"""Categories up to which each has a colour and a symbol of its own on the map of images."""


def draw_paths(
    sample: PathSample,
    paths: CategoryPaths | None,
    names: Sequence[str],
    category: int,
    beside: int | None = None,
    *,
    width: int,
) -> go.Figure:
    """Neuron index against layer: a thin line an image, a bold one the path of the category.

    Args:
        sample: images and their paths.
        paths: the category paths; `None` leaves the bold lines out.
        names: of the categories.
        category: whose paths are shown.
        beside: a second one.
        width: neurons in the widest layer.
    """
    figure = go.Figure()
    labels = list(map(plain_text, distinct_names(names)))
    for place, one in enumerate((category, beside)):
        name = "" if one is None else labels[one]
        x, y, text = ([], [], []) if one is None else _lines(sample, one)
        style = {"color": COLOURS[place]}
        figure.add_scatter(
            x=x,
            y=y,
            text=text,
            mode="lines+markers",
            name=f"{name}: images",
            line={**style, "width": 1},
            marker={"size": 4, "symbol": ("circle", "square")[place]},
            opacity=0.7,
            showlegend=one is not None,
            hovertemplate="%{text}<br>layer %{x}, neuron %{y}<extra></extra>",
        )
        bold = one is not None and paths is not None
        figure.add_scatter(
            x=list(range(sample.neurons.shape[1])) if bold else [],
            y=paths.neurons[one, :, 0].tolist() if bold and paths is not None else [],
            mode="lines+markers",
            name=f"{name}: category path",
            line={**style, "width": 4, "dash": ("solid", "dot")[place]},
            marker={"size": 10, "symbol": ("circle", "square")[place]},
            showlegend=bold,
            hovertemplate="category path<br>layer %{x}, neuron %{y}<extra></extra>",
        )
    figure.update_xaxes(title="layer, from the input (0) on", dtick=1 if sample.neurons.shape[1] <= 16 else 4)
    figure.update_yaxes(title="neuron", range=[-0.02 * width, 1.02 * width])
    return figure.update_layout(template=template(), title={"text": "Neuron paths"}, height=520, hovermode="closest")


def draw_neuron_use(use: Use, names: Sequence[str], category: int, widths: tuple[int, ...]) -> go.Figure:
    """Layers x neurons: the share (%) of a category's images with a neuron on their path.

    In layers wider than `BINS` a column stands for several neurons, and shows the one that is used most.
    """
    share = use.dense(category, widths).numpy() * 100
    layers, width = share.shape
    size = -(-width // BINS)
    filled = np.zeros((layers, -(-width // size) * size))
    filled[:, :width] = share
    columns = filled.reshape(layers, -1, size)
    best = columns.argmax(-1) + np.arange(columns.shape[1]) * size
    figure = go.Figure(
        go.Heatmap(
            z=columns.max(-1).round(1),
            x=(np.arange(columns.shape[1]) * size).tolist(),
            y=list(range(layers)),
            customdata=best,
            zmin=0,
            colorscale=SCALE,
            colorbar={"title": {"text": "images, %"}, "thickness": 12},
            hovertemplate="layer %{y}, neuron %{customdata}<br>%{z:.0f}% of the images<extra></extra>",
        )
    )
    figure.update_xaxes(title="neuron", showgrid=False)
    figure.update_yaxes(title="layer", dtick=1 if layers <= 16 else 4, showgrid=False)
    title = f"Neuron use: {plain_text(names[category])}"
    return figure.update_layout(template=template(), title={"text": title}, height=200 + 20 * layers, margin={"b": 56})


def draw_similarity(similarity: Tensor, names: Sequence[str], order: Sequence[int]) -> go.Figure:
    """Cosine between the frequency maps of every two categories, as `category_similarity`, in a given order."""
    return matrix_figure(
        similarity.cpu().numpy(), names, order, title="Similarity", unit="cosine", rows="", columns="", span=(0, 1)
    )


def draw_image_map(plane: npt.NDArray[np.float64], sample: PathSample, names: Sequence[str]) -> go.Figure:
    """Images on a plane, coloured by category; in grey where there are more than `MOST_COLOURED`.

    The last two traces are empty: for rings around the images of chosen categories.

    Args:
        plane: (images, 2), where each is.
        sample: the images.
        names: of the categories.
    """
    figure = go.Figure()
    labels = list(map(plain_text, distinct_names(names)))
    few = len(names) <= MOST_COLOURED
    groups = [(labels[one], sample.category == one) for one in np.unique(sample.category)] if few else []
    for place, (name, own) in enumerate(groups or [("images", np.ones(len(sample), bool))]):
        style = marker_style(place) if few else {"color": NEUTRAL}
        which = np.flatnonzero(own)
        figure.add_scatter(
            x=plane[own, 0].round(2),
            y=plane[own, 1].round(2),
            text=[f"{labels[sample.category[one]]}<br>{plain_text(sample.files[one])}" for one in which],
            mode="markers",
            name=name,
            marker={**style, "size": 6 if few else 4},
            showlegend=few,
            hovertemplate="%{text}<extra></extra>",
        )
    for colour in COLOURS[:2]:
        ring = {"size": 12, "symbol": "circle-open", "color": colour, "line": {"width": 2}}
        figure.add_scatter(x=[], y=[], mode="markers", marker=ring, showlegend=False, hoverinfo="skip")
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure.update_layout(template=template(), title={"text": "Images by path"}, height=560, hovermode="closest")


def _lines(sample: PathSample, category: int) -> tuple[list[int | None], list[int | None], list[str | None]]:
    x: list[int | None] = []
    y: list[int | None] = []
    text: list[str | None] = []
    for one in np.flatnonzero(sample.category == category).tolist():
        # None parts the line of one image from that of the next.
        neurons = sample.neurons[one].tolist()
        x += [*range(len(neurons)), None]
        y += [*neurons, None]
        text += [f"{plain_text(sample.files[one])}: {sample.probability[one]:.1%}"] * len(neurons) + [None]
    return x, y, text
