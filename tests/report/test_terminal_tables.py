from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console, RenderableType

from nplight.metrics import Estimate, SelectivitySummary
from nplight.report.terminal_tables import findings_tables, selectivity_table
from tests.report.controlled_findings import controlled_findings


def shown(*parts: RenderableType) -> str:
    console = Console(file=StringIO(), width=80)
    for part in parts:
        console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_run_ends_with_one_screen_and_verbose_shows_every_measure() -> None:
    found = controlled_findings(("jas",), notes=["a note"])
    short, long = (shown(*findings_tables(found, Path("runs/x"), verbose=verbose)) for verbose in (False, True))
    assert len(short.splitlines()) <= 24
    assert "paths against random neurons" in short
    assert "Note: a note." in short
    assert short.splitlines()[-1] == "Results: runs/x (metrics.csv: with 95% intervals; all measures: --verbose)"
    assert long.splitlines()[-1] == "Results: runs/x (metrics.csv: with 95% intervals)"
    assert "Others pruned" in long
    assert "Others pruned" not in short
    assert "Ahead of random" in long


def test_without_random_neurons_every_measure_is_shown() -> None:
    text = shown(*findings_tables(controlled_findings(("jas",), control=None), Path("runs/x")))
    assert "Δ prob. %" in text
    assert "random" not in text


def test_selectivity_is_in_percent_and_its_difference_has_a_sign() -> None:
    summary = SelectivitySummary(*(Estimate(value, value - 0.01, value + 0.01, 7) for value in (0.9, 0.6, 0.3)))
    text = shown(selectivity_table(summary, "jas", 5))
    assert "Selectivity of jas: 5 kept per layer, all others pruned (7 images)" in " ".join(text.split())
    rows = [line.split() for line in text.splitlines()]
    assert ["difference", "+30.0", "+29.0", "…", "+31.0"] in rows
    assert ["the", "image's", "category", "90.0", "89.0", "…", "91.0"] in rows
