"""What is seen in a chart, in sentences that are computed from its values."""

from __future__ import annotations

from collections.abc import Sequence

from nplight.report.charts import Line, Panel
from nplight.report.theme import enumerated

Lead = tuple[float, float]
"""A difference, and the position where it is."""


def separates(panel: Panel) -> bool:
    """Whether the 95% intervals of two searches or controls are apart somewhere, so that the panel tells them apart.

    A panel with a single line, or without any intervals, counts as one that does: nothing says that it does not.
    """
    lines = _measured(panel)
    if len(lines) < 2:
        return True
    for x in {x for line in lines for x in line.x}:
        ends = [(low, high) for line in lines for at, low, high in zip(line.x, line.low, line.high) if at == x]
        known = [(low, high) for low, high in ends if low == low and high == high]
        if known and max(low for low, _ in known) > min(high for _, high in known):
            return True
    return False


def seen(panel: Panel) -> str:
    """One or two sentences: which searches lie above and below the control, or how far the searches are apart."""
    lines = _measured(panel)
    control = next((line for line in lines if line.style.control), None)
    searches = [line for line in lines if not line.style.control]
    start = f"{panel.title}: " if panel.title else ""
    if not lines:
        return f"{start}no 95% intervals were computed, so that no difference is claimed."
    if control is None or not searches:
        return start + _between_searches(panel, searches) + "."
    above = {line.name: lead for line in searches if (lead := largest_lead(line, control))}
    below = {line.name: lead for line in searches if (lead := largest_lead(control, line))}
    if not above and not below:
        return f"{start}no search is told from {control.name}: their 95% intervals overlap everywhere."
    parts = []
    if above:
        name = max(above, key=lambda search: above[search][0])
        number = f"{len(above)} of {len(searches)} searches lie" if len(searches) > 1 else f"{searches[0].name} lies"
        furthest = f"{name} furthest, by" if len(searches) > 1 else "by at most"
        parts.append(f"{number} above {control.name} with 95% intervals apart, {furthest} {_at(panel, above[name])}")
    if below:
        name = max(below, key=lambda search: below[search][0])
        furthest = f", {name} furthest," if len(below) > 1 else ""
        verb = "lie" if len(below) > 1 else "lies"
        both = " elsewhere" if set(below) & set(above) else ""
        parts.append(f"{_few(list(below))} {verb} below it{both}{furthest} by {_at(panel, below[name])}")
    return start + "; ".join(parts) + "."


def left_out(panels: Sequence[Panel]) -> str:
    """That panels are not drawn because their lines are not told apart; empty for none."""
    if not panels:
        return ""
    titles = enumerated([panel.title for panel in panels])
    return f"Not drawn, as the 95% intervals of all lines overlap: {titles}."


def largest_lead(line: Line, other: Line) -> Lead | None:
    """The largest lead of one line over another where their intervals are apart; `None` if they are apart nowhere."""
    values = dict(zip(other.x, zip(other.y, other.high)))
    leads = [(y - values[x][0], x) for x, y, low in zip(line.x, line.y, line.low) if x in values and low > values[x][1]]
    return max(leads, default=None)


def _measured(panel: Panel) -> list[Line]:
    return [line for line in panel.lines if not line.reference and any(low == low for low in line.low)]


def _between_searches(panel: Panel, searches: Sequence[Line]) -> str:
    pairs = [
        (lead, first.name, second.name)
        for first in searches
        for second in searches
        if (lead := largest_lead(first, second))
    ]
    if not pairs:
        return (
            "no two searches are told apart: their 95% intervals overlap everywhere" if searches[1:] else _span(panel)
        )
    lead, first, second = max(pairs)
    return f"the searches are furthest apart {_at(panel, lead, 'by')}, {first} above {second}"


def _span(panel: Panel) -> str:
    """The values of a single search from the first position to the last."""
    (line,) = _measured(panel) or panel.lines[:1]
    ends = [f"{panel.text(line.y[end])} at {panel.position(line.x[end])}" for end in (0, -1)]
    return f"{line.name} goes from {ends[0]} to {ends[1]}"


def _at(panel: Panel, lead: Lead, preposition: str = "") -> str:
    return f"{preposition} {panel.difference(lead[0])} at {panel.position(lead[1])}".strip()


def _few(names: Sequence[str], most: int = 3) -> str:
    return enumerated(names) if len(names) <= most else f"{len(names)} of them"
