"""What figures for a paper are written: of which categories and searches, how wide, and in which formats."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from nplight.errors import ArgumentError, described, listed
from nplight.report.run_charts import run_styles
from nplight.report.run_data import Run
from nplight.report.static_style import FORMATS, Format

_UNITS = {"mm": 1.0, "cm": 10.0, "in": 25.4, "pt": 25.4 / 72}
_NARROWEST, _WIDEST = 40.0, 1000.0
_EVERY = 20
"""Categories up to which all are drawn without being asked for."""


@dataclass(frozen=True, slots=True)
class FigureSettings:
    """Settings of `export_figures`.

    Attributes:
        categories: numbers or names of the categories to draw; `None`: all of at most 20, none of more.
        searches: the searches and controls in the charts, at most eight, the first of them with image paths in the
            figures of categories; `None`: the first ones.
        width: of every figure in millimetres, 40 to 1,000.
        formats: `pdf`, `svg` and `png`, each figure in all of them.

    Raises:
        ArgumentError: a width or a format is wrong.

    Examples:
        >>> from nplight.report import FigureSettings, read_run
        >>> settings = FigureSettings(categories=["3", 5], width=85.0, formats=["pdf"])
        >>> settings.category_numbers(read_run("runs/digits"))
        [3, 5]
    """

    categories: Sequence[str | int] | None = None
    searches: Sequence[str] | None = None
    width: float = 170.0
    formats: Sequence[Format] = ("pdf", "svg")

    def __post_init__(self) -> None:
        if isinstance(self.width, bool) or not isinstance(self.width, (int, float)):
            raise ArgumentError(f"`width` must be a number of millimetres, got {described(self.width)}")
        if not _NARROWEST <= self.width <= _WIDEST:
            raise ArgumentError(
                f"`width` must be from {_NARROWEST:g} mm, below which nothing is legible, to {_WIDEST:g} mm, "
                f"got {self.width:g} mm"
            )
        unknown = [form for form in self.formats if form not in FORMATS]
        if unknown or not self.formats:
            raise ArgumentError(f"`format` must be among {listed(FORMATS)}, got {listed(unknown) or 'none'}")

    def category_numbers(self, run: Run) -> list[int]:
        """The categories to draw, each once.

        Raises:
            ArgumentError: one of them does not exist, or is the name of several.
        """
        if self.categories is None:
            return list(range(len(run.names))) if len(run.names) <= _EVERY else []
        return list(dict.fromkeys(_category(run, category) for category in self.categories))

    def check(self, run: Run) -> None:
        """Refuse categories and searches that a run does not have, before work starts.

        Raises:
            ArgumentError: the run has no such category or search.
        """
        self.category_numbers(run)
        if self.searches is not None:
            run_styles(run, self.searches)


def parsed_settings(categories: str | None, searches: str | None, width: str, formats: str) -> FigureSettings:
    """The settings of a command line: lists with commas, and a width with its unit.

    Raises:
        ArgumentError: the width has no unit, or a setting is wrong.
    """
    names = _words(formats)
    unknown = [name for name in names if name not in get_args(Format)]
    if unknown or not names:
        raise ArgumentError(f"`--format` must be among {listed(FORMATS)}, got {listed(unknown) or repr(formats)}")
    return FigureSettings(
        categories=None if categories is None else _words(categories),
        searches=None if searches is None else _words(searches),
        width=_millimetres(width),
        formats=[form for form in FORMATS if form in names],
    )


def _millimetres(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(mm|cm|in|pt)", text.strip().lower())
    if match is None:
        raise ArgumentError(f"`--width` must be a number with its unit ({listed(_UNITS)}), such as 85mm, got {text!r}")
    return float(match[1]) * _UNITS[match[2]]


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _category(run: Run, category: str | int) -> int:
    """The number of a category, by its number or by its name."""
    text = str(category)
    number = int(text) if text.isascii() and text.isdigit() else None
    if number is not None and number < len(run.names):
        return number
    named = [place for place, name in enumerate(run.names) if name == text]
    if number is None and len(named) == 1:
        return named[0]
    several = f"; {text!r} is the name of {listed(named)}: give its number" if len(named) > 1 else ""
    raise ArgumentError(
        f"`category` must be a number in 0 … {len(run.names) - 1}, or a name of the run's {len(run.names)} categories "
        f"({listed(run.names, limit=5)}), got {text!r}{several}"
    )
