"""Results for a terminal, at most 80 columns wide."""

from __future__ import annotations

from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from nplight.metrics import MEASURES, SelectivitySummary
from nplight.report.control_tables import control_tables
from nplight.report.measure_tables import claims_table, measure_tables
from nplight.report.narrow_table import narrow_table
from nplight.results import Findings, controlled_tests


def findings_tables(findings: Findings, folder: Path, *, verbose: bool = False) -> list[RenderableType]:
    """The findings of a run: the paths against random neurons and a verdict, the notes, the run folder.

    Args:
        findings: of the run.
        folder: the run folder.
        verbose: whether every measure under every condition is shown as well; always without random neurons.
    """
    tests = controlled_tests(findings, MEASURES["probability"])
    tables = measure_tables(findings) if verbose or not tests else []
    if not tables and len(findings.searches) > 2 and findings.claims:
        tables = [claims_table(findings.claims)]
    more = "" if tables else "; all measures: --verbose"
    return [
        *tables,
        *(control_tables(findings) if tests else []),
        *(Text(f"Note: {note}.") for note in findings.notes),
        Text(f"Results: {folder} (metrics.csv: with 95% intervals{more})"),
    ]


def selectivity_table(summary: SelectivitySummary, search: str, kept: int) -> RenderableType:
    """Accuracy under the path of an image's category and under the paths of other categories."""
    title = f"Selectivity of {search}: {kept} kept per layer, all others pruned ({summary.own.images} images)"
    table = narrow_table(title, ["path of"], ["top-1 %", "95% interval"])
    rows = (
        ("the image's category", summary.own, ".1f"),
        ("other categories", summary.others, ".1f"),
        ("difference", summary.difference, "+.1f"),
    )
    for name, estimate, form in rows:
        value, low, high = (format(number * 100, form) for number in (estimate.value, estimate.low, estimate.high))
        table.add_row(name, value, f"{low} … {high}")
    return table
