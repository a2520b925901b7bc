"""Colours and templates of the figures, safe for colour-blind readers on light and dark backgrounds."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence

import plotly.graph_objects as go

# Okabe and Ito (2008) without black and yellow, each invisible on one of the backgrounds, and with a brown. Grey is
# left to controls and references.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5C3E")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
NEUTRAL = "#8A8A8A"
CONTROL = "#63686E"
"""Of random neurons and other controls: further from the colours than `NEUTRAL` for colour-blind readers."""
SCALE = "cividis"

_TONES = {"light": ("#1b1f24", "#d5d9de"), "dark": ("#e8eaed", "#3c4248")}


def template(theme: str = "light") -> go.layout.Template:
    """The template of a theme, `light` or `dark`, with a transparent background."""
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


def line_style(number: int) -> dict[str, str]:
    """The colour and dash of the line with a number; 42 are distinct, and any six in a row differ in both."""
    colour, turn = number % len(COLOURS), number // len(COLOURS)
    return {"color": COLOURS[colour], "dash": DASHES[(colour + turn) % len(DASHES)]}


def marker_style(number: int) -> dict[str, str]:
    """The colour and symbol of the group of points with a number; 49 are distinct."""
    return {"color": COLOURS[number % len(COLOURS)], "symbol": SYMBOLS[number // len(COLOURS) % len(SYMBOLS)]}


def plain_text(text: str, longest: int = 60) -> str:
    """A text that Plotly shows literally: Plotly interprets a subset of HTML in every text."""
    return html.escape(shortened(text, longest), quote=False)


def enumerated(texts: Sequence[str]) -> str:
    """Texts joined by commas and a last `and`."""
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def shortened(text: str, longest: int) -> str:
    """A text on one line, truncated to `longest` characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def distinct_names(names: Sequence[str], longest: int = 24) -> list[str]:
    """Truncated names, with their number if two would be equal or a name is empty."""
    cut = [shortened(name, longest) for name in names]
    seen = Counter(cut)
    return [name if name and seen[name] == 1 else f"{name} ({number})" for number, name in enumerate(cut)]
