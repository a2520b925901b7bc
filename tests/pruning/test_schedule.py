from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from nplight.errors import ArgumentError
from nplight.pruning import SCHEDULES, PruningSchedule


@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_schedule_rises_from_nothing_to_its_share(kind: Any) -> None:
    schedule = PruningSchedule.of_training(0.7, kind, 100, begin=10)
    shares = [schedule.share_at(step) for step in range(100)]
    assert shares[:10] == [0] * 10
    assert all(earlier <= later for earlier, later in pairwise(shares))
    assert shares[-1] == 0.7
    assert shares[10] == (0.7 if kind == "constant" else 0)
    assert shares[50:] == [0.7] * 50


def test_the_cubic_one_prunes_early() -> None:
    linear, cubic = (PruningSchedule.of_training(0.8, kind, 100, end=80) for kind in ("linear", "cubic"))
    assert linear.share_at(40) == pytest.approx(0.4)
    assert cubic.share_at(40) == pytest.approx(0.8 * (1 - 0.5**3))


def test_masks_are_chosen_at_the_end_and_between() -> None:
    schedule = PruningSchedule(0.5, "linear", 5, 12, 3, 40)
    steps = [step for step in range(40) if schedule.masks_until(step) > schedule.masks_until(step - 1)]
    assert steps == [8, 11, 12]
    again = PruningSchedule(0.5, "linear", 5, 12, 3, 40, again=True)
    steps = [step for step in range(25) if again.masks_until(step) > again.masks_until(step - 1)]
    assert steps == [8, 11, 12, 15, 18, 21, 24]
    once = PruningSchedule(0.5, "constant", 7, 7, 3, 40)
    assert [step for step in range(40) if once.masks_until(step) > once.masks_until(step - 1)] == [7]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"end": 100}, "`end` must be a step of the training, which has 100, got 100"),
        ({"kind": "constant", "begin": 120, "end": None}, "`begin` must be a step of the training, .* got 120"),
        ({"kind": "constant", "end": 20}, "`end` is for the schedules 'linear' and 'cubic', got 20"),
        ({"begin": 30, "end": 30}, "`end` must be after `begin`, step 30, got 30"),
        ({"begin": -1}, "`begin` must be an integer of at least 0"),
        ({"every": 0}, "`every` must be an integer of at least 1"),
        ({"kind": "square"}, "`schedule` must be one of 'constant', 'linear', 'cubic'"),
        ({"share": 1}, r"`share` must be the pruned share of the neurons, in \[0, 1\), such as 0.5, got 1"),
        ({"share": True}, "`share` must be"),
        ({"total": float("inf")}, "must have a known number of steps, .* got inf; set max_epochs"),
    ],
)
def test_a_schedule_beyond_the_training_and_others_are_refused(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"share": 0.5, "kind": "linear", "total": 100, "end": 50, **changes}
    with pytest.raises(ArgumentError, match=message):
        PruningSchedule.of_training(arguments.pop("share"), arguments.pop("kind"), arguments.pop("total"), **arguments)
