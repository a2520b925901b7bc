"""The values of charts, and how their lines look."""

from __future__ import annotations

import pytest

from nplight.report.charts import MOST_SHOWN, Axis, Chart, Line, Panel, search_styles

SEARCHES = [f"search {number}" for number in range(12)]


def test_at_most_eight_lines_are_shown_and_the_control_is_among_them() -> None:
    styles = search_styles([*SEARCHES[:5], "random", *SEARCHES[5:], "random"])
    assert list(styles) == [*SEARCHES[:5], "random", *SEARCHES[5:]]
    shown = [name for name, style in styles.items() if style.shown]
    assert len(shown) == MOST_SHOWN
    assert "random" in shown
    assert [name for name, style in styles.items() if style.main] == SEARCHES[:1]
    assert [name for name, style in styles.items() if style.control] == ["random"]
    asked = search_styles([*SEARCHES, "random"], ["search 11", "random"])
    assert [name for name, style in asked.items() if style.shown] == ["search 11", "random"]
    assert {name: style.colour for name, style in asked.items()} == {name: styles[name].colour for name in asked}


def test_no_two_lines_that_are_shown_look_alike() -> None:
    styles = list(search_styles([*SEARCHES[:7], "random"]).values())
    assert len({style.colour for style in styles}) == len(styles)
    assert len({(style.colour, style.dash) for style in search_styles(SEARCHES).values()}) == len(SEARCHES)


@pytest.mark.parametrize(
    ("positions", "ticks"),
    [
        ([1, 5, 10, 30, 50, 100, 288], ["1", "5", "10", "30", "50", "100", "288"]),
        ([1, 2, 3, 4, 5], ["1", "2", "5"]),
        ([7], ["7"]),
        ([7, 8], ["7", "8"]),
    ],
)
def test_a_logarithmic_axis_has_ticks_at_both_ends_and_where_there_is_room(
    positions: list[float], ticks: list[str]
) -> None:
    axis = Axis("kept", {float(position): str(position) for position in positions}, log=True)
    assert list(axis.ticks.values()) == ticks
    assert list(Axis("kept", axis.labels).ticks) == sorted(axis.labels)


def test_numbers_are_written_with_their_unit() -> None:
    panel = Panel("", [], Axis("kept", {11.0: "10"}, noun="{} kept"), "top-1, %", "%", "+.1f")
    assert panel.text(-2.34) == "−2.3%"
    assert panel.difference(-2.34) == "2.3 points"
    assert panel.position(11.0) == "10 kept"


def test_a_search_is_in_the_legend_once() -> None:
    styles = search_styles(["jas", "random"])
    lines = [Line(name, style, [1.0], [1.0]) for name, style in styles.items()]
    level = Line("clean", styles["jas"], [1.0], [1.0], reference=True)
    panel = Panel("", [*lines, level], Axis("", {1.0: "1"}), "")
    assert [line.name for line in Chart("", [panel, panel]).searches] == ["jas", "random"]
