from __future__ import annotations

import pytest

from nplight.metrics import Condition
from nplight.report.control_tables import control_tables
from tests.report.controlled_findings import KEPT, KEPT_ALL, LEADS, REMOVED, controlled_findings
from tests.report.test_terminal_tables import shown

MANY = tuple(f"search_{number}" for number in range(11))


def screen(*arguments: object, **options: object) -> str:
    return shown(*control_tables(controlled_findings(*arguments, **options)))  # type: ignore[arg-type]


@pytest.mark.parametrize("searches", [("jas",), ("jas", "joint_integrated_gradients"), MANY])
def test_it_fits_a_screen(searches: tuple[str, ...]) -> None:
    lines = screen(searches).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= (20 if len(searches) <= 2 else 30)


def test_what_separates_is_first_and_the_rest_is_one_line() -> None:
    lines = screen().splitlines()
    rows = [
        next(number for number, line in enumerate(lines) if line.strip().startswith(name))
        for name in ("5 kept ", "10 kept ")
    ]
    assert rows == sorted(rows)
    assert rows[1] < next(number for number, line in enumerate(lines) if line.strip().startswith("1 removed"))
    assert "Not told from random: 1 enhanced; 1 kept, all tokens." in lines
    assert not any(line.strip().startswith("1 enhanced") for line in lines)


def test_a_row_has_random_the_path_and_their_difference_with_its_interval() -> None:
    row = next(line for line in screen(("jas",)).splitlines() if line.strip().startswith("5 kept "))
    assert row.split() == ["5", "kept", "70.0", "90.0", "+20.0", "[19.0,", "21.0]"]
    row = next(
        line for line in screen(("jas",), {REMOVED: -0.005}).splitlines() if line.strip().startswith("1 removed")
    )
    assert row.split()[3:] == ["70.0", "-0.50", "[-1.50,", "0.50]"]


def test_none_and_all_kept_stand_beside_and_partial_pruning_is_one_line() -> None:
    text = screen()
    assert "Unedited: 97.0 (top-1 97.0); no neuron kept: 60.0 (top-1 60.0)." in text
    assert "30% of the others pruned: top-1 from 90.0% to 90.0%." in text


def test_the_last_sentences_are_the_verdict_on_the_removal() -> None:
    text = " ".join(screen().split())
    assert "Removing the path lowers the label's probability by" in text
    assert text.endswith(
        "Ahead of random: jas by 3.00% [2.00, 4.00] and joint_integrated_gradients by 3.00% [2.00, 4.00]."
    )
    text = " ".join(screen(("jas",), {**LEADS, REMOVED: 0.0}).split())
    assert text.endswith("Not shown to beat random, as the interval holds 0: jas by 0.00% [-1.00, 1.00].")


def test_without_anything_told_a_row_stands_and_says_so() -> None:
    text = screen(("jas",), dict.fromkeys((REMOVED, *KEPT, *KEPT_ALL), 0.0))
    assert "Not told from random: " in text
    assert "Also" not in text
    assert "[-1.00, 1.00]" in text


def test_more_rows_than_fit_are_named() -> None:
    leads = {Condition("kept", size, 1.0): 0.9 - size / 100 for size in range(1, 12)}
    lines = screen(("jas",), leads).splitlines()
    assert sum(" kept " in line for line in lines if line.strip()[:1].isdigit()) == 6
    assert "Also ahead of random: 7 kept; 8 kept; 9 kept; 10 kept; 11 kept." in lines


def test_many_searches_are_down_and_random_is_among_them() -> None:
    lines = screen(MANY).splitlines()
    for name in (*MANY, "random"):
        assert any(line.strip().startswith(name + " ") for line in lines), name
    assert lines[2].split() == ["search", "1", "removed", "5", "kept"]


def test_a_path_behind_random_is_said_to_be() -> None:
    leads = {REMOVED: -0.03, **{Condition("kept", size, 1.0): 0.9 - size / 100 for size in range(1, 7)}}
    lines = screen(("jas",), {**leads, KEPT_ALL[0]: -0.05}).splitlines()
    assert "Also ahead of random: 1 removed." in lines
    assert "Behind random: 1 kept, all tokens." in lines
