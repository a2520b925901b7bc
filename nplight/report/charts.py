"""Charts of lines as plain values, which `plotly_chart` draws for a browser and `static_chart` for paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nplight.methods import is_control
from nplight.report.theme import CONTROL, SYMBOLS, line_style

MOST_SHOWN = 8
"""Maximum number of searches and controls that a chart shows at once."""

_SPACE = 1.6
"""Factor between the ticks of a logarithmic axis, at least."""

_CONTROL_DASHES = ("dash", "dot", "longdashdot")


@dataclass(frozen=True, slots=True)
class Style:
    """The look of a search's lines, alike in every chart of a run.

    Attributes:
        colour: of the line.
        dash: of the line, by Plotly's names.
        symbol: of the points, by Plotly's names.
        shown: whether it is drawn without being asked for.
        main: whether it is the first search, which is drawn bold.
        control: whether it is a control, which is grey.
    """

    colour: str
    dash: str
    symbol: str
    shown: bool = True
    main: bool = False
    control: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """Values of one search under one condition, with 95% intervals.

    Attributes:
        name: for the legend.
        style: its look.
        x: positions on the horizontal axis.
        y: values; NaN for none.
        low: of the intervals, NaN for none; empty: without intervals.
        high: of the intervals.
        reference: whether it is a level to compare with: thin, without points, not in the legend.
    """

    name: str
    style: Style
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    reference: bool = False

    @property
    def band(self) -> bool:
        """Whether its intervals are drawn: of the main search and of controls alone, as all of them hide each other."""
        return bool(self.low) and (self.style.main or self.style.control) and not self.reference


@dataclass(frozen=True, slots=True)
class Axis:
    """A horizontal axis.

    Attributes:
        title: with the unit.
        labels: of every position with a value.
        log: whether it is logarithmic.
        noun: a position in a text, with `{}` for its label.
    """

    title: str
    labels: Mapping[float, str]
    log: bool = False
    noun: str = "{}"

    @property
    def ticks(self) -> dict[float, str]:
        """The labels that are drawn: on a logarithmic axis the first, the last, and those not too near another one."""
        items = sorted(self.labels.items())
        if not self.log or len(items) < 3:
            return dict(items)
        (last, _), ticks = items[-1], items[:1]
        for position, label in items[1:-1]:
            if _SPACE * ticks[-1][0] <= position <= last / _SPACE:
                ticks.append((position, label))
        return dict([*ticks, items[-1]])


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines over one pair of axes.

    Attributes:
        title: what tells the panel from the others; empty for a single one.
        lines: searches first, then references.
        across: the horizontal axis.
        up: title of the vertical axis, with the unit.
        unit: behind a number in a text, such as `%`.
        format: of a number in a text, a format specification.
    """

    title: str
    lines: Sequence[Line]
    across: Axis
    up: str
    unit: str = ""
    format: str = ".2f"

    def text(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:{self.format}}".replace("-", "−") + self.unit

    def difference(self, value: float) -> str:
        """The size of a difference of two values, with its unit; of percentages in points."""
        return f"{abs(value):{self.format.lstrip('+')}}" + (" points" if self.unit == "%" else self.unit)

    def position(self, x: float) -> str:
        """A position as a text, such as `5 kept`."""
        return self.across.noun.format(self.across.labels.get(x, f"{x:g}"))


@dataclass(frozen=True, slots=True)
class Chart:
    """Panels with one legend.

    Attributes:
        title: a few words.
        panels: row by row.
        columns: panels per row.
        caption: what is seen, in sentences, from the values themselves.
        same_height: whether all panels have one vertical axis.
    """

    title: str
    panels: Sequence[Panel]
    columns: int = 1
    caption: str = ""
    same_height: bool = field(default=False)

    @property
    def searches(self) -> list[Line]:
        """The first line of every search and control, in order."""
        lines = (line for panel in self.panels for line in panel.lines if not line.reference)
        return list({line.name: line for line in reversed(list(lines))}.values())[::-1]


def search_styles(names: Iterable[str], shown: Iterable[str] | None = None) -> dict[str, Style]:
    """A look for every search and control of a run.

    Args:
        names: searches, the main one first, and controls.
        shown: those to draw; `None`: the first ones, `MOST_SHOWN` with the controls.
    """
    ordered = list(dict.fromkeys(names))
    controls = [name for name in ordered if is_control(name)]
    searches = [name for name in ordered if name not in controls]
    chosen = set([*searches[: MOST_SHOWN - len(controls[:3])], *controls[:3]] if shown is None else shown)
    styles = {}
    for number, name in enumerate(searches):
        style, symbol = line_style(number), SYMBOLS[number % len(SYMBOLS)]
        styles[name] = Style(style["color"], style["dash"], symbol, name in chosen, main=number == 0)
    for number, name in enumerate(controls):
        dash, symbol = _CONTROL_DASHES[number % len(_CONTROL_DASHES)], SYMBOLS[number % len(SYMBOLS)]
        styles[name] = Style(CONTROL, dash, symbol, name in chosen, control=True)
    return {name: styles[name] for name in ordered}
