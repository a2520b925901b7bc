from __future__ import annotations

import re
from dataclasses import replace

import pytest

from nplight.errors import ArgumentError
from nplight.metrics import MEASURES, Estimate
from nplight.results.verdict import ControlledTest, verdict

DEVIATION = MEASURES["probability_deviation"]


def controlled(
    difference: tuple[float, float, float], *, condition: str = "removed", search: str = "jas"
) -> ControlledTest:
    """A path that lowers the probability by 3%, where random neurons lower it by 0.1%."""
    return ControlledTest(
        search=search,
        control="random",
        condition=condition,
        measure=DEVIATION,
        path=Estimate(-0.03, -0.05, -0.02, 100),
        floor=Estimate(-0.001, -0.004, 0.002, 100),
        difference=Estimate(*difference, 100),
    )


AHEAD, UNDECIDED, BEHIND = (-0.029, -0.048, -0.017), (-0.01, -0.03, 0.002), (0.02, 0.01, 0.03)


@pytest.mark.parametrize(
    ("difference", "removed", "kept"),
    [
        (AHEAD, "ahead", "behind"),
        (UNDECIDED, "undecided", "undecided"),
        (BEHIND, "behind", "ahead"),
        ((-0.01, float("nan"), float("nan")), "without an interval", "without an interval"),
    ],
)
def test_the_interval_decides_and_a_removed_path_is_ahead_where_it_lowers_more(
    difference: tuple[float, float, float], removed: str, kept: str
) -> None:
    assert controlled(difference).standing == removed
    assert controlled(difference, condition="kept").standing == kept
    assert controlled(difference, condition="enhanced").standing == kept


def test_an_interval_that_ends_at_0_decides_nothing() -> None:
    assert controlled((-0.01, -0.02, 0.0)).standing == "undecided"
    assert controlled((0.0, 0.0, 0.0)).standing == "undecided"


def test_the_sentence_has_the_path_the_control_and_their_difference_with_intervals() -> None:
    assert verdict([controlled(AHEAD)]) == (
        "Removing the path lowers the label's probability by 3.00% [2.00, 5.00] (jas); "
        "as many random neurons by 0.10% [-0.20, 0.40]. Ahead of random: jas by 2.90% [1.70, 4.80]."
    )


def test_it_says_plainly_which_searches_do_not_beat_the_control() -> None:
    tests = [
        controlled(AHEAD),
        controlled(UNDECIDED, search="activation"),
        controlled(BEHIND, search="other"),
    ]
    sentences = verdict(tests).split(". ")
    assert sentences[1] == "Ahead of random: jas by 2.90% [1.70, 4.80]"
    assert sentences[2] == "Not shown to beat random, as the interval holds 0: activation by 1.00% [-0.20, 3.00]"
    assert sentences[3] == "Behind random: other by 2.00% [1.00, 3.00]."
    assert "Ahead" not in verdict(tests[1:])


def test_many_searches_are_counted_and_each_standing_has_all_of_its_own() -> None:
    text = verdict([controlled(AHEAD, search=f"search{number}") for number in range(5)])
    assert re.findall(r"search\d", text) == ["search0", "search1", "search2"] * 2
    assert text.count("and 2 others") == 2


def test_all_sizes_are_in_the_direction_of_the_first_path() -> None:
    other = replace(controlled(BEHIND, search="other"), path=Estimate(0.01, 0.005, 0.02, 100))
    assert "by 3.00% [2.00, 5.00] (jas) and by -1.00% [-2.00, -0.50] (other)" in verdict([controlled(AHEAD), other])
    assert verdict([replace(other, condition="kept")]).startswith(
        "Keeping the path alone raises the label's probability by 1.00% [0.50, 2.00] (other); "
        "as many random neurons by -0.10% [-0.40, 0.20]."
    )


def test_without_an_interval_none_is_shown() -> None:
    nan = float("nan")
    path, floor, difference = (Estimate(value, nan, nan, 10) for value in (-0.03, -0.01, -0.02))
    text = verdict([replace(controlled(AHEAD), path=path, floor=floor, difference=difference)])
    assert "[" not in text
    assert "Not compared with random, without an interval: jas by 2.00%." in text


def test_tests_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ArgumentError, match="`tests` must be of one control, condition and measure, got 0"):
        verdict([])
    with pytest.raises(ArgumentError, match="`tests` must be of one control, condition and measure, got 2"):
        verdict([controlled(AHEAD), controlled(AHEAD, condition="enhanced")])
    with pytest.raises(ArgumentError, match="`condition` must be one of 'removed', 'enhanced', 'kept', got 'clean'"):
        controlled(AHEAD, condition="clean")
