from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console, RenderableType

from nplight.metrics import MEASURES, Estimate, SelectivitySummary, whole_conditions
from nplight.report.terminal_tables import findings_tables, selectivity_table
from nplight.results import Findings, MeasuredPaths, findings
from tests.results.samples import drawn_metrics
from tests.results.test_findings import drawn_findings


def shown(*parts: RenderableType) -> str:
    console = Console(file=StringIO(), width=80)
    for part in parts:
        console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined]


def single() -> Findings:
    return findings(
        MeasuredPaths({"jas": drawn_metrics("jas", 1)}), None, top_k=1, widths=[64], num_classes=5, replicates=20
    )


def test_the_tables_of_one_method_have_every_measure_of_every_condition_at_the_main_tokens() -> None:
    found = single()
    text = shown(*findings_tables(found, Path("runs/x")))
    whole = whole_conditions([result.key for result in found.results])
    for result in (result for result in found.results if result.key in whole and result.scale is None):
        cells = [measure.text(result.value(measure.name)) for measure in MEASURES.values() if not measure.change]
        assert any(all(cell in line for cell in cells) for line in text.splitlines()), result
    assert text.splitlines()[-1] == "Results: runs/x (metrics.csv: with 95% intervals)"


def test_several_methods_are_side_by_side_with_notes_and_claims() -> None:
    found = drawn_findings()
    text = shown(*findings_tables(found, Path("runs/x")))
    assert "Methods compared (40 held-out images)" in text
    assert "Note: a note." in text
    for method in found.comparison.methods:
        assert f"{method} " in text
    for claim in found.claims:
        assert claim.verdict in text


def test_no_line_is_wider_than_a_terminal() -> None:
    for found in (single(), drawn_findings()):
        assert max(map(len, shown(*findings_tables(found, Path("x"))).splitlines())) <= 80


def test_selectivity_is_in_percent_and_its_difference_has_a_sign() -> None:
    summary = SelectivitySummary(*(Estimate(value, value - 0.01, value + 0.01, 7) for value in (0.9, 0.6, 0.3)))
    text = shown(selectivity_table(summary, "jas", 5))
    assert "Selectivity of jas: 5 kept per layer, all others pruned (7 images)" in " ".join(text.split())
    rows = [line.split() for line in text.splitlines()]
    assert ["difference", "+30.0", "+29.0", "…", "+31.0"] in rows
    assert ["the", "image's", "category", "90.0", "89.0", "…", "91.0"] in rows
