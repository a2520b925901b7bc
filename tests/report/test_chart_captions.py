"""Captions say what the values show."""

from __future__ import annotations

import pytest

from nplight.report.chart_captions import largest_lead, left_out, seen, separates
from nplight.report.charts import Axis, Line, Panel, search_styles

NAMES = ("jas", "conductance", "random")
STYLES = search_styles(NAMES)


def line(name: str, *values: float, width: float = 1.0) -> Line:
    x = [float(place) for place in range(len(values))]
    low, high = ([value + sign * width for value in values] for sign in (-1, 1))
    return Line(name, STYLES[name], x, list(values), low, high)


def panel(*lines: Line, title: str = "") -> Panel:
    labels = {float(place): str(10 * place) for place in range(4)}
    return Panel(title, lines, Axis("kept", labels, noun="{} kept"), "top-1, %", "%", ".1f")


def test_a_panel_tells_lines_apart_if_two_intervals_are() -> None:
    assert separates(panel(line("jas", 1, 5), line("random", 1, 2)))
    assert not separates(panel(line("jas", 1, 4), line("random", 1, 2)))
    level = Line("clean", STYLES["jas"], [0.0, 1.0], [90.0, 90.0], reference=True)
    assert not separates(panel(line("jas", 1, 4), line("random", 1, 3), level))
    nan = float("nan")
    assert not separates(panel(line("jas", nan, 4), line("random", 1, 3)))
    assert separates(panel(line("jas", 1, 1)))
    unknown = panel(line("jas", 1, 9, width=nan), line("random", 1, 3, width=nan))
    assert separates(unknown)
    assert seen(unknown) == "no 95% intervals were computed, so that no difference is claimed."


def test_the_lead_is_the_largest_where_intervals_are_apart() -> None:
    wide = Line("random", STYLES["random"], [0.0, 1.0, 2.0], [0.0, 0.0, 0.0], [-1, -1, -99], [1, 1, 99])
    assert largest_lead(line("jas", 3, 7, 50), wide) == (7, 1.0)
    assert largest_lead(wide, line("jas", 3, 7, 50)) is None


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            (line("jas", 9, 5), line("conductance", 4, 1), line("random", 1, 1)),
            "2 of 2 searches lie above random with 95% intervals apart, jas furthest, by 8.0 points at 0 kept.",
        ),
        ((line("jas", 9, 5), line("random", 1, 1)), "jas lies above random with 95% intervals apart, by at most 8.0"),
        ((line("jas", 1, 1), line("random", 1, 9)), "jas lies below it by 8.0 points at 10 kept."),
        ((line("jas", 9, 1), line("random", 1, 9)), "; jas lies below it elsewhere by 8.0 points at 10 kept."),
        ((line("jas", 1, 1), line("random", 1, 1)), "no search is told from random: their 95% intervals overlap"),
        (
            (line("jas", 9, 1), line("conductance", 1, 1)),
            "furthest apart by 8.0 points at 0 kept, jas above conductance.",
        ),
        ((line("jas", 1, 1), line("conductance", 1, 1)), "no two searches are told apart"),
        ((line("jas", 9, 1),), "jas goes from 9.0% at 0 kept to 1.0% at 10 kept."),
    ],
)
def test_what_is_seen(lines: tuple[Line, ...], sentence: str) -> None:
    assert sentence in seen(panel(*lines))
    assert seen(panel(*lines, title="path tokens")).startswith("path tokens: ")


def test_what_is_left_out_is_named() -> None:
    assert left_out([]) == ""
    panels = [panel(title="10% pruned"), panel(title="30% pruned")]
    assert left_out(panels) == "Not drawn, as the 95% intervals of all lines overlap: 10% pruned and 30% pruned."
