"""Results as tables for a terminal, at most 80 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from rich import box
from rich.console import JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from nplight.methods import METHODS
from nplight.metrics import (
    MEASURES,
    Condition,
    ConditionMeasure,
    ConditionResult,
    Measure,
    SelectivitySummary,
    whole_conditions,
)
from nplight.results import PATH_MEASURES, ComparedMeasure, Comparison, ComparisonRow, Findings

_LONGEST = max(map(len, METHODS))
_EDITED = ("removed", "enhanced")
_COLUMNS = 5
"""Number of measures that fit side by side into 80 columns."""

T = TypeVar("T")


def findings_tables(findings: Findings, folder: Path) -> list[RenderableType]:
    """The findings of a run: the measures of one method or the comparison of several, the notes, the run folder.

    Args:
        findings: of the run.
        folder: the run folder.
    """
    return [
        *(_compared(findings) if len(findings.comparison.methods) > 1 else _single(findings.results)),
        *(Text(f"Note: {note}.") for note in findings.notes),
        Text(f"Results: {folder} (metrics.csv: with 95% intervals)"),
    ]


def selectivity_table(summary: SelectivitySummary, search: str, kept: int) -> RenderableType:
    """Accuracy under the path of an image's category and under the paths of other categories."""
    title = f"Selectivity of {search}: {kept} kept per layer, all others pruned ({summary.own.images} images)"
    table = _table(title, ["path of"], ["top-1 %", "95% interval"])
    rows = (
        ("the image's category", summary.own, ".1f"),
        ("other categories", summary.others, ".1f"),
        ("difference", summary.difference, "+.1f"),
    )
    for name, estimate, form in rows:
        value, low, high = (format(number * 100, form) for number in (estimate.value, estimate.low, estimate.high))
        table.add_row(name, value, f"{low} … {high}")
    return table


def _single(results: Sequence[ConditionResult]) -> list[RenderableType]:
    """The tables of a single method: the path removed and enhanced, then others pruned."""
    groups = _side_by_side(list(MEASURES.values()))
    tables = [table(results, measures) for table in (_conditions, _pruned) for measures in groups]
    return [*tables, _legend("kept: neurons per layer.", MEASURES.values())]


def _conditions(results: Sequence[ConditionResult], measures: Sequence[ConditionMeasure]) -> Table:
    """Measures without an edit, with the path removed, and with the path enhanced."""
    title = f"The category path removed and enhanced ({results[0].images} held-out images)"
    table, whole = _table(title, ["condition"], [measure.column for measure in measures]), _whole(results)
    for result in results:
        if result.condition in ("clean", "none", *_EDITED) and result.key in whole:
            size = "" if result.kept is None else f" (top {result.kept})"
            table.add_row(result.condition + size, *_values(result, measures))
    return table


def _pruned(results: Sequence[ConditionResult], measures: Sequence[ConditionMeasure]) -> Table:
    """Measures with others pruned, one section per number of neurons kept."""
    title = f"Others pruned, the category path kept ({results[0].images} held-out images)"
    table = _table(title, ["kept", "others pruned"], [measure.column for measure in measures])
    previous, whole = None, _whole(results)
    for result in results:
        if result.condition == "kept" and result.key in whole:
            if previous not in (None, result.kept):
                table.add_section()
            kept = "" if result.kept == previous else str(result.kept)
            table.add_row(kept, f"{result.pruned:.0%}", *_values(result, measures))
            previous = result.kept
    return table


def _whole(results: Sequence[ConditionResult]) -> list[Condition]:
    """The conditions that edit all layers at the main tokens; those of a path come first."""
    return whole_conditions([result.key for result in sorted(results, key=lambda result: result.kept is None)])


def _compared(findings: Findings) -> list[RenderableType]:
    """The comparison of several methods, the measures of their paths, and the claims."""
    comparison, clean = findings.comparison, findings.results[0]
    compared = {row.compared.measure.name for row in comparison.rows}
    introduction = (
        f"Bold: the best. Without an edit top-1 is {clean.value('accuracy'):.1%}. "
        "JAS: on the images that the paths were found with."
    )
    tables: list[RenderableType] = [
        *(_deviations(comparison, rows, clean.images) for rows in _side_by_side(comparison.under(None, *_EDITED))),
        _legend(introduction, [measure for measure in MEASURES.values() if measure.name in compared]),
        *(_prunings(comparison, rows) for rows in _by_measure(comparison.under("kept"))),
    ]
    tables += [_paths(findings), _legend("", PATH_MEASURES)]
    return tables if not findings.claims else [*tables, _claims(findings)]


def _deviations(comparison: Comparison, rows: Sequence[ComparisonRow], images: int) -> Table:
    """Joint score, removal and enhancement: methods down, measures across."""
    table = _table(f"Methods compared ({images} held-out images)", ["method"], [_head(row.compared) for row in rows])
    for number, method in enumerate(comparison.methods):
        table.add_row(method, *(_cell(row, number) for row in rows))
    return table


def _prunings(comparison: Comparison, rows: Sequence[ComparisonRow]) -> Table:
    """A measure with others pruned: methods down, numbers kept across, one section per pruned share."""
    cells = {
        (row.compared.condition.pruned, row.compared.condition.kept): row for row in rows if row.compared.condition
    }
    shares, sizes = (list(dict.fromkeys(keys)) for keys in zip(*cells))
    column = rows[0].compared.measure.column
    title = f"{column[0].upper()}{column[1:]} with others pruned, by neurons kept per layer"
    table = _table(title, ["pruned", "method"], list(map(str, sizes)))
    for share in shares:
        table.add_section()
        for number, method in enumerate(comparison.methods):
            values = [_cell(cells[share, size], number) for size in sizes]
            table.add_row("" if number else f"{share:.0%}", method, *values)
    return table


def _by_measure(rows: Sequence[ComparisonRow]) -> list[list[ComparisonRow]]:
    return [list(group) for _, group in groupby(rows, key=lambda row: row.compared.measure.name)]


def _side_by_side(columns: Sequence[T]) -> list[Sequence[T]]:
    """Columns in groups that fit into 80 columns of text."""
    return [columns[start : start + _COLUMNS] for start in range(0, len(columns), _COLUMNS)]


def _head(compared: ComparedMeasure) -> str:
    column = compared.measure.column
    return column if compared.condition is None else f"{compared.condition.name}\n{column}"


def _cell(row: ComparisonRow, method: int) -> Text:
    return Text(row.texts[method], "bold" if row.best[method] else "")


def _legend(introduction: str, measures: Iterable[Measure]) -> Text:
    meanings = [f"{measure.column.removesuffix(' %')}: {measure.description}." for measure in measures]
    return Text(textwrap.fill(" ".join([introduction, *meanings]).strip(), 80), style="dim")


def _paths(findings: Findings) -> Table:
    """The measures of the paths, one line per method."""
    table = _table("The paths themselves", ["method"], [measure.column for measure in PATH_MEASURES])
    for method in findings.comparison.methods:
        table.add_row(method, *(measure.text_of(findings, method) for measure in PATH_MEASURES))
    return table


def _claims(findings: Findings) -> Table:
    table = _table("The paper's claims, on these images", ["claim", "verdict", "why"], [])
    for claim in findings.claims:
        table.add_row(claim.text, Text(claim.verdict, "bold"), claim.reason)
    return table


def _table(title: str, keys: Sequence[str], measures: Sequence[str]) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    if "method" in keys:
        table.padding = (0, 1, 0, 0)
    for key in keys:
        justify: JustifyMethod = "right" if key in ("kept", "others pruned", "pruned") else "left"
        table.add_column(key, justify=justify, min_width=_LONGEST if key == "method" else None)
    for measure in measures:
        table.add_column(measure, justify="right")
    return table


def _values(result: ConditionResult, measures: Sequence[ConditionMeasure]) -> list[str]:
    """The formatted measures; blank for a change of the unedited model."""
    is_clean = result.condition == "clean"
    return ["" if is_clean and measure.change else measure.text(result.value(measure.name)) for measure in measures]
