"""A chart of lines with intervals, laid out for a template that draws it as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nplight.report.theme import COLOURS, NEUTRAL

_WIDTH, _HEIGHT = 720, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 16, 48
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25)
_MOST_TICKS = 8


@dataclass(frozen=True, slots=True)
class Point:
    """A value with its interval.

    Attributes:
        x: in [0, 1].
        value: in [0, 1].
        low: of the interval.
        high: of the interval.
    """

    x: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Marker:
    """A point of a line: position, and what it says when it is pointed at."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        name: for the legend.
        colour: of the line, the markers and the band.
        points: the coordinates of the line, as SVG takes them.
        band: those of its interval.
        markers: its points.
    """

    name: str
    colour: str
    points: str
    band: str
    markers: list[Marker]


@dataclass(frozen=True, slots=True)
class Tick:
    """A position on an axis and its label."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class LineChart:
    """Values in [0, 1] against shares in [0, 1].

    Attributes:
        width: of the picture.
        height: of the picture.
        left: of the plot area; likewise `right`, `top` and `bottom`.
        lines: one per name.
        across: ticks of the horizontal axis.
        up: ticks of the vertical axis.
        across_title: of the horizontal axis.
        up_title: of the vertical axis.
        ink: colour of text and axes, legible on light and on dark.
    """

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    lines: list[Line]
    across: list[Tick]
    up: list[Tick]
    across_title: str
    up_title: str
    ink: str


def line_chart(curves: Mapping[str, Sequence[Point]], *, across: str, up: str) -> LineChart:
    """Lay out curves.

    Args:
        curves: name -> points; drawn by ascending x.
        across: title of the horizontal axis.
        up: title of the vertical axis.
    """
    points = [point for curve in curves.values() for point in curve]
    lowest, highest = min(point.low for point in points), max(point.high for point in points)
    step = next((step for step in _STEPS if (highest - lowest) / step < _MOST_TICKS), _STEPS[-1])
    bottom = math.floor(lowest / step + 1e-9) * step
    top = max(math.ceil(highest / step - 1e-9) * step, bottom + step)
    plot_right, plot_bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def x(value: float) -> float:
        return round(_LEFT + value * (plot_right - _LEFT), 1)

    def y(value: float) -> float:
        return round(plot_bottom - (value - bottom) / (top - bottom) * (plot_bottom - _TOP), 1)

    lines = []
    for number, (name, curve) in enumerate(curves.items()):
        ordered = sorted(curve, key=lambda point: point.x)
        edge = [(point.x, point.low) for point in ordered] + [(point.x, point.high) for point in reversed(ordered)]
        lines.append(
            Line(
                name,
                COLOURS[number % len(COLOURS)],
                " ".join(f"{x(point.x)},{y(point.value)}" for point in ordered),
                " ".join(f"{x(share)},{y(value)}" for share, value in edge),
                [Marker(x(point.x), y(point.value), _text(name, point)) for point in ordered],
            )
        )
    ticks = round((top - bottom) / step)
    return LineChart(
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        right=plot_right,
        top=_TOP,
        bottom=plot_bottom,
        lines=lines,
        across=[Tick(x(share / 10), f"{10 * share}%") for share in range(0, 11, 2)],
        up=[Tick(y(bottom + step * tick), f"{100 * (bottom + step * tick):.0f}%") for tick in range(ticks + 1)],
        across_title=across,
        up_title=up,
        ink=NEUTRAL,
    )


def _text(name: str, point: Point) -> str:
    return f"{name}, {point.x:.0%} kept: {point.value:.1%} ({point.low:.1%} … {point.high:.1%})"
