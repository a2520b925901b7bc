"""The path of a category as a strip for paper: a column per layer, the neuron in a box, its support and its picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nplight.report.static_style import INK, MILLIMETRE, bare
from nplight.report.strip_neurons import StripNeuron, StripPicture
from nplight.report.theme import COLOURS, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_ON_PATH = 5
"""Neurons of a layer's path that have a row; of the others the number is given."""

# Millimetres.
_NARROWEST = 13.4
_WIDEST = 26.0
_GAP = 2.6
_LABEL = 4.4
_ROW = 4.0
_BAR = 1.1
_KEY_LINE = 2.9
_POINT = 0.3528
_BOLD = 0.68
"""Width of a bold letter, at most, in sizes of the font."""
_LEAST_LABEL = 5.0
"""Of the label of a box, points: it is never cut."""
_THICKEST_LINK = 1.8

_TRACK = "#e6e9ed"
_SUPPORT, _SCORE = COLOURS[0], COLOURS[1]


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where the columns of a strip are, in millimetres.

    Attributes:
        per_line: columns per line; a strip that is too wide continues on the next line.
        column: width of a column.
        picture: edge of a picture; 0 without pictures.
        stacked: whether the heat map is beneath the image, and not beside it.
        rows: further neurons per column, at most.
        named: whether neurons have names.
    """

    per_line: int
    column: float
    picture: float
    stacked: bool
    rows: int
    named: bool

    @property
    def height(self) -> float:
        """Of a line of columns."""
        pictures = self.picture * (2 if self.stacked else 1) + (1.0 if self.stacked else 0.4)
        return _LABEL + 0.8 + pictures + 2 * _ROW + self.named * 2.6 + self.rows * _ROW + 2

    def corner(self, layer: int) -> tuple[float, float]:
        """The upper left corner of a layer's column."""
        line, place = divmod(layer, self.per_line)
        return place * (self.column + _GAP) + 0.4, line * self.height + 0.4


def strip_figure(columns: Sequence[Sequence[StripNeuron]], width: float) -> Figure:
    """The strip, with a key beneath it and without a title; inside `paper_style`.

    A box has the neuron `L2 · 217`: layer 2, neuron 217. The lines between boxes are as thick as the share of images
    with both neurons on their own path.

    Args:
        columns: per layer the neurons of the path, then the runners-up.
        width: in millimetres.
    """
    from matplotlib.figure import Figure

    grid = _grid(columns, width)
    lines = math.ceil(len(columns) / grid.per_line)
    key = _key(columns)
    height = lines * grid.height + len(key) * _KEY_LINE + 0.8
    figure = Figure((width * MILLIMETRE, height * MILLIMETRE))
    axes = bare(figure.add_axes((0, 0, 1, 1)))
    axes.set(xlim=(0, width), ylim=(height, 0))
    for layer, column in enumerate(columns):
        _draw_column(axes, grid, layer, _shown(column))
        if column and layer + 1 < len(columns):
            _draw_link(axes, grid, layer, column[0].linked)
    _draw_key(axes, key, lines * grid.height, width)
    return figure


def _grid(columns: Sequence[Sequence[StripNeuron]], width: float) -> _Grid:
    longest = max((len(_label(layer, neurons)) for layer, neurons in enumerate(columns)), default=0)
    narrowest = max(_NARROWEST, _GAP + 1.2 + _BOLD * longest * _LEAST_LABEL * _POINT)
    most = max(1, int((width + _GAP - 0.8) // narrowest))
    lines = math.ceil(len(columns) / most)
    per_line = math.ceil(len(columns) / lines)
    column = min(_WIDEST, (width - 0.8 + _GAP) / per_line - _GAP)
    pictures = any(neuron.picture for neurons in columns for neuron in neurons)
    heat = any(neuron.picture and neuron.picture.heat is not None for neurons in columns for neuron in neurons)
    beside = heat and column >= 20
    edge = min(12.0, (column - 0.8) / 2 if beside else column - 0.8)
    return _Grid(
        per_line,
        column,
        edge if pictures else 0,
        heat and not beside,
        max((len(_shown(neurons)) - 1 for neurons in columns), default=0),
        any(neuron.name for neurons in columns for neuron in neurons),
    )


def _shown(column: Sequence[StripNeuron]) -> list[StripNeuron]:
    """The first neurons of the path, and the runners-up."""
    on_path = [neuron for neuron in column if neuron.on_path]
    return [*on_path[:_MOST_ON_PATH], *(neuron for neuron in column if not neuron.on_path)]


def _label(layer: int, column: Sequence[StripNeuron]) -> str:
    return f"L{layer} · {column[0].neuron}" if column else ""


def _draw_column(axes: Axes, grid: _Grid, layer: int, column: Sequence[StripNeuron]) -> None:
    from matplotlib.patches import FancyBboxPatch

    if not column:
        return
    left, top = grid.corner(layer)
    first, *others = column
    style = "round,pad=0,rounding_size=0.8"
    edge: dict[str, Any] = {
        "facecolor": "white",
        "edgecolor": INK,
        "linewidth": 0.7,
        "linestyle": "-" if first.on_path else ":",
    }
    axes.add_patch(FancyBboxPatch((left, top), grid.column, _LABEL, boxstyle=style, zorder=3, **edge))
    label = _label(layer, column)
    _text(
        axes, left + grid.column / 2, top + _LABEL / 2, label, grid.column - 1, size=7.0, weight="bold", align="center"
    )
    y = top + _LABEL + 0.8
    if grid.picture:
        if first.picture is not None:
            _draw_picture(axes, grid, first.picture, left, y)
        y += grid.picture * (2 if grid.stacked else 1) + (1.0 if grid.stacked else 0.4)
    if grid.named:
        _text(axes, left, y + 1.6, first.name, grid.column, size=5.5, style="italic")
        y += 2.6
    for share, colour, noun in ((first.support, _SUPPORT, "images"), (first.score, _SCORE, "score")):
        if share is not None:
            _text(axes, left, y + 1.5, f"{share:.0%} {noun}", grid.column, size=5.5)
            _bar(axes, left, y + 2.6, grid.column, share, colour)
        y += _ROW
    for neuron in others:
        _draw_other(axes, neuron, left, y + 0.4, grid.column)
        y += _ROW


def _draw_other(axes: Axes, neuron: StripNeuron, left: float, top: float, width: float) -> None:
    """A further neuron of the path, bold, or a runner-up: its number, its support, and a bar."""
    weight = "bold" if neuron.on_path else "normal"
    _text(axes, left, top + 1.4, str(neuron.neuron), 0.5 * width, size=5.5, weight=weight)
    if neuron.support is not None:
        share = f"{neuron.support:.0%}"
        _text(axes, left + width, top + 1.4, share, 0.45 * width, size=5.5, align="right")
        _bar(axes, left, top + 2.4, width, neuron.support, _SUPPORT, 0.6, alpha=1.0 if neuron.on_path else 0.55)


def _draw_picture(axes: Axes, grid: _Grid, picture: StripPicture, left: float, top: float) -> None:
    edge = grid.picture
    wide = 2 * edge + 0.8 if picture.heat is not None and not grid.stacked else edge
    x = left + (grid.column - wide) / 2
    _image(axes, picture.pixels, x, top, edge)
    if picture.heat is not None:
        x, top = (x, top + edge + 0.6) if grid.stacked else (x + edge + 0.8, top)
        _image(axes, picture.pixels, x, top, edge)
        axes.imshow(
            picture.heat,
            cmap="cividis",
            vmin=0,
            vmax=1,
            alpha=0.62,
            interpolation="nearest",
            zorder=2.5,
            aspect="auto",
            extent=(x, x + edge, top + edge, top),
        )


def _image(axes: Axes, pixels: object, x: float, top: float, edge: float) -> None:
    axes.imshow(pixels, extent=(x, x + edge, top + edge, top), interpolation="nearest", aspect="auto", zorder=2)  # type: ignore[arg-type]


def _draw_link(axes: Axes, grid: _Grid, layer: int, share: float | None) -> None:
    """A line to the next box, at the end of a line of columns a short one."""
    left, top = grid.corner(layer)
    if not share:
        return
    thickness = max(0.12, _THICKEST_LINK * share) / _POINT
    start, y = left + grid.column, top + _LABEL / 2
    ends_line = (layer + 1) % grid.per_line == 0
    length = 0.4 * _GAP if ends_line else _GAP
    axes.plot([start, start + length], [y, y], color=_SUPPORT, linewidth=thickness, solid_capstyle="butt", zorder=1)


def _key(columns: Sequence[Sequence[StripNeuron]]) -> list[tuple[str, str]]:
    """What the bars and rows are, each with its colour; empty without a bar."""
    neurons = [neuron for column in columns for neuron in column]
    entries = []
    if any(neuron.support is not None for neuron in neurons):
        entries.append((_SUPPORT, "images with the neuron on their path"))
    if any(neuron.score is not None for neuron in neurons):
        entries.append((_SCORE, "share of the score"))
    hidden = max((sum(neuron.on_path for neuron in column) - _MOST_ON_PATH for column in columns), default=0)
    return [*entries, ("", f"and {hidden} more per layer")] if hidden > 0 else entries


def _draw_key(axes: Axes, key: Sequence[tuple[str, str]], top: float, width: float) -> None:
    """The entries of a key, each on a line of its own."""
    for line, (colour, text) in enumerate(key):
        y = top + line * _KEY_LINE + 1.6
        if colour:
            _bar(axes, 0.4, y - 0.8, 2.4, 1.0, colour, 1.6)
        _text(axes, 3.6, y, text, width - 4, size=5.5)


def _bar(
    axes: Axes, x: float, y: float, width: float, share: float, colour: str, height: float = _BAR, alpha: float = 1.0
) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x, y), width, height, facecolor=_TRACK, linewidth=0, zorder=1))
    filled = width * min(1.0, max(0.0, share))
    axes.add_patch(Rectangle((x, y), filled, height, facecolor=colour, alpha=alpha, linewidth=0, zorder=2))


def _text(
    axes: Axes, x: float, y: float, text: str, room: float, *, size: float, align: str = "left", **font: str
) -> None:
    """A text that is made smaller, and then cut, until it fits into its room (mm)."""
    letter = _BOLD if font.get("weight") == "bold" else 0.6
    fitting = room / (letter * max(1, len(text)) * _POINT)
    least = 0.7 * size
    if fitting < least:
        text = shortened(text, max(2, int(room / (letter * least * _POINT))))
    axes.text(x, y, text, fontsize=max(least, min(size, fitting)), ha=align, va="center", zorder=4, **font)  # type: ignore[arg-type]
