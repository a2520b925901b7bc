"""Tables of methods by groups of cases."""

from __future__ import annotations

import math
import re

from rich.console import Console

from nplight import METHODS
from nplight.metrics import Estimate
from nplight.planted import MEASURES, MODELS, Judgements
from nplight.report.planted_tables import percent, planted_tables


def constant(cases: list[str], methods: list[str]) -> Judgements:
    """Every measure is 0.5, that of `random` 0."""
    values = {method: Estimate(0.0 if method == "random" else 0.5, 0.0, 1.0, 16) for method in methods}
    return Judgements("logit", 1, {(c, m, measure): values[m] for c in cases for m in methods for measure in MEASURES})


def printed(judgements: Judgements) -> str:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(*planted_tables(judgements), sep="\n")
    return capture.get()


def test_all_methods_and_groups_fit_into_80_columns() -> None:
    longest = "joint_integrated_gradients_held"
    text = printed(constant(list(MODELS), list(dict.fromkeys([*METHODS, longest]))))
    assert "…" not in text
    assert text.count(f"{longest} ") == 6
    assert text.startswith("Objective: logit")
    for title in ("Found, no decoys", "Found, harder cases", "Found, trained trigger", "Removed, trained trigger"):
        assert title in text
    assert max(map(len, text.splitlines())) <= 80
    assert len(re.findall(r"^ ?random  .* 0 *$", text, re.MULTILINE)) == 6


def test_groups_without_a_judged_case_are_left_out() -> None:
    text = printed(constant(["chain", "trigger_1"], ["jas"]))
    assert "no decoys" in text
    assert "trained trigger" in text
    assert "all decoys" not in text
    assert "parallel" not in text


def test_the_legend_names_the_measures_of_the_tables_alone() -> None:
    assert "Removed:" in printed(constant(["chain", "trigger_1"], ["jas"]))
    assert "Removed" not in printed(constant(["chain"], ["jas"]))
    assert "Found:" in printed(constant(["chain"], ["jas"]))


def test_percent() -> None:
    assert [percent(value) for value in (0.583, 1.0, -0.001, math.nan)] == ["58", "100", "0", "–"]
