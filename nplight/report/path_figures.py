"""Figures of the paths: neurons against layers, neuron use, similarity of categories, images on a plane."""

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
"""Maximum number of columns of the neuron-use map; neurons of wider layers share columns."""

MOST_COLOURED = 21
"""Maximum number of categories with distinct colours and symbols on the map of images."""


def draw_paths(
    sample: PathSample,
    paths: CategoryPaths | None,
    names: Sequence[str],
    category: int,
    beside: int | None = None,
    *,
    width: int,
) -> go.Figure:
    """Neuron index against layer: a thin line per image, a bold line for the path of the category.

    Args:
        sample: images and their paths.
        paths: the category paths; `None` omits the bold lines.
        names: of the categories.
        category: whose paths are drawn.
        beside: a second category.
        width: neurons in the widest layer.
    """
    figure = go.Figure()
    labels = list(map(plain_text, distinct_names(names)))
    for number, shown in enumerate((category, beside)):
        name = "" if shown is None else labels[shown]
        x, y, text = ([], [], []) if shown is None else _lines(sample, shown)
        style = {"color": COLOURS[number]}
        figure.add_scatter(
            x=x,
            y=y,
            text=text,
            mode="lines+markers",
            name=f"{name}: images",
            line={**style, "width": 1},
            marker={"size": 4, "symbol": ("circle", "square")[number]},
            opacity=0.7,
            showlegend=shown is not None,
            hovertemplate="%{text}<br>layer %{x}, neuron %{y}<extra></extra>",
        )
        bold = shown is not None and paths is not None
        figure.add_scatter(
            x=list(range(sample.neurons.shape[1])) if bold else [],
            y=paths.neurons[shown, :, 0].tolist() if bold and paths is not None else [],
            mode="lines+markers",
            name=f"{name}: category path",
            line={**style, "width": 4, "dash": ("solid", "dot")[number]},
            marker={"size": 10, "symbol": ("circle", "square")[number]},
            showlegend=bold,
            hovertemplate="category path<br>layer %{x}, neuron %{y}<extra></extra>",
        )
    figure.update_xaxes(title="layer, from the input (0) on", dtick=1 if sample.neurons.shape[1] <= 16 else 4)
    figure.update_yaxes(title="neuron", range=[-0.02 * width, 1.02 * width])
    return figure.update_layout(template=template(), title={"text": "Neuron paths"}, height=520, hovermode="closest")


def draw_neuron_use(use: Use, names: Sequence[str], category: int, widths: tuple[int, ...]) -> go.Figure:
    """Layers x neurons: the share (%) of a category's images with a neuron on their path.

    In layers wider than `BINS` a column stands for several neurons and shows the most used one.
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
    """Cosine between the frequency maps of each pair of categories, from `category_similarity`, in a given order."""
    return matrix_figure(
        similarity.cpu().numpy(), names, order, title="Similarity", unit="cosine", rows="", columns="", span=(0, 1)
    )


def draw_image_map(plane: npt.NDArray[np.float64], sample: PathSample, names: Sequence[str]) -> go.Figure:
    """Images on a plane, coloured by category; grey with more than `MOST_COLOURED` categories.

    The last two traces are empty; the page uses them for rings around the images of the chosen categories.

    Args:
        plane: (images, 2), the position of each image.
        sample: the images.
        names: of the categories.
    """
    figure = go.Figure()
    labels = list(map(plain_text, distinct_names(names)))
    coloured = len(names) <= MOST_COLOURED
    groups = [("images", np.arange(len(sample)))]
    if coloured and len(sample):
        categories = np.unique(sample.category)
        groups = [(labels[category], np.flatnonzero(sample.category == category)) for category in categories]
    for number, (name, images) in enumerate(groups):
        style = marker_style(number) if coloured else {"color": NEUTRAL}
        figure.add_scatter(
            x=plane[images, 0].round(2),
            y=plane[images, 1].round(2),
            text=[f"{labels[sample.category[image]]}<br>{plain_text(sample.files[image])}" for image in images],
            mode="markers",
            name=name,
            marker={**style, "size": 6 if coloured else 4},
            showlegend=coloured,
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
    for image in np.flatnonzero(sample.category == category).tolist():
        # None separates the line of an image from that of the next.
        neurons = sample.neurons[image].tolist()
        x += [*range(len(neurons)), None]
        y += [*neurons, None]
        text += [f"{plain_text(sample.files[image])}: {sample.probability[image]:.1%}"] * len(neurons) + [None]
    return x, y, text
