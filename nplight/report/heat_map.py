"""A heat map of shares, laid out for a template that draws it as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from plotly.colors import sample_colorscale

from nplight.metrics import Estimate
from nplight.planted import Judgements
from nplight.report.theme import NEUTRAL, SCALE

_CELL_WIDTH, _CELL_HEIGHT = 11, 20
_CHARACTER = 7.0
"""Width of one, at most, in a label."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One rectangle: corner, colour, and what it says when it is pointed at."""

    x: float
    y: float
    colour: str
    text: str


@dataclass(frozen=True, slots=True)
class Label:
    """A method or a case beside the cells."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Methods down, cases across.

    Attributes:
        measure: what the colours show.
        width: of the picture.
        height: of the picture.
        cell_width: of each cell.
        cell_height: of each cell.
        cells: one per method and case.
        methods: labels at the left.
        cases: labels at the top, to be turned.
        ink: colour of the labels, legible on light and on dark.
    """

    measure: str
    width: float
    height: float
    cell_width: int
    cell_height: int
    cells: list[Cell]
    methods: list[Label]
    cases: list[Label]
    ink: str = NEUTRAL


def heat_map(judgements: Judgements, measure: str) -> HeatMap:
    """The heat map of a measure; colours from 0 to 1, values beyond have the colour of the nearer end."""
    methods, cases = judgements.methods, judgements.cases
    left, top = (_CHARACTER * max(map(len, names)) + 10 for names in (methods, cases))
    return HeatMap(
        measure,
        left + _CELL_WIDTH * len(cases),
        top + _CELL_HEIGHT * len(methods),
        _CELL_WIDTH,
        _CELL_HEIGHT,
        list(_cells(judgements, measure, left, top)),
        [Label(left - 6, top + _CELL_HEIGHT * (place + 0.7), name) for place, name in enumerate(methods)],
        [Label(left + _CELL_WIDTH * (place + 0.8), top - 6, name) for place, name in enumerate(cases)],
    )


def scale(steps: int = 11) -> list[tuple[str, str]]:
    """Colours of evenly spaced shares, each with its share in percent."""
    shares = [step / (steps - 1) for step in range(steps)]
    return [(colour_of(share), f"{share:.0%}") for share in shares]


def colour_of(share: float) -> str:
    """Its colour; grey for NaN."""
    return NEUTRAL if math.isnan(share) else str(sample_colorscale(SCALE, [min(max(share, 0.0), 1.0)])[0])


def _cells(judgements: Judgements, measure: str, left: float, top: float) -> Iterator[Cell]:
    for row, method in enumerate(judgements.methods):
        for column, case in enumerate(judgements.cases):
            value = judgements.estimates[case, method, measure]
            text = f"{method}, {case}: {measure} {with_interval(value)}"
            yield Cell(left + _CELL_WIDTH * column, top + _CELL_HEIGHT * row, colour_of(value.value), text)


def with_interval(value: Estimate) -> str:
    """A value with its 95% interval, such as `0.58 (0.50 … 0.66)`."""
    if math.isnan(value.value):
        return "–"
    interval = "" if math.isnan(value.low) else f" ({value.low:.2f} … {value.high:.2f})"
    return f"{value.value:.2f}{interval}"
