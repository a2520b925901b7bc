"""Colours and templates of the figures: safe for colour-blind readers, on light and on dark."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence

import plotly.graph_objects as go

# Okabe and Ito (2008) without black and yellow, which vanish on one of the two backgrounds.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A8A8A")
DASHES = ("solid", "dash", "dot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
NEUTRAL = "#8A8A8A"
SCALE = "cividis"

_TONES = {"light": ("#1b1f24", "#d5d9de"), "dark": ("#e8eaed", "#3c4248")}


def template(theme: str = "light") -> go.layout.Template:
    """The template of a theme, `light` or `dark`; the background is what stands behind the figure."""
    ink, line = _TONES[theme]
    axis = {"gridcolor": line, "linecolor": line, "zerolinecolor": line, "automargin": True}
    return go.layout.Template(
        layout={
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": ink},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": COLOURS,
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 60, "r": 16, "t": 40, "b": 90},
            "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": NEUTRAL, "activecolor": ink},
            "hoverlabel": {"align": "left", "namelength": 40},
        }
    )


def line_style(place: int) -> dict[str, str]:
    """The colour and dash of a line by its place among others; 21 differ."""
    return {"color": COLOURS[place % len(COLOURS)], "dash": DASHES[place // len(COLOURS) % len(DASHES)]}


def marker_style(place: int) -> dict[str, str]:
    """The colour and symbol of a point by its group's place among others; 49 differ."""
    return {"color": COLOURS[place % len(COLOURS)], "symbol": SYMBOLS[place // len(COLOURS) % len(SYMBOLS)]}


def plain_text(text: str, longest: int = 60) -> str:
    """A text as Plotly shows it letter by letter: Plotly reads a part of HTML in every text."""
    return html.escape(shortened(text, longest), quote=False)


def shortened(text: str, longest: int) -> str:
    """A text on one line, cut where it is longer."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def distinct_names(names: Sequence[str], longest: int = 24) -> list[str]:
    """Names cut, and with their number where two would be the same or one is empty."""
    cut = [shortened(name, longest) for name in names]
    seen = Counter(cut)
    return [name if name and seen[name] == 1 else f"{name} ({number})" for number, name in enumerate(cut)]
