"""Every measure of a run as tables for a terminal, at most 80 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TypeVar

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nplight.metrics import (
    Condition,
    ConditionMeasure,
    ConditionResult,
    Measure,
    measures_among,
    whole_conditions,
)
from nplight.report.narrow_table import narrow_table
from nplight.report.normalised_faithfulness import normalised_tables
from nplight.results import PATH_MEASURES, PROTOCOLS, Claim, ComparedMeasure, Comparison, ComparisonRow, Findings

_EDITED = ("removed", "enhanced")
_COLUMNS = 5
"""Number of measures that fit side by side into 80 columns."""

T = TypeVar("T")


def measure_tables(findings: Findings) -> list[RenderableType]:
    """Every measure under every condition, where one search was tested, and the comparison of searches and controls.

    Where a search attributes another objective than the probability, normalised faithfulness is a table as well.

    Args:
        findings: of the run.
    """
    tables = []
    if len(findings.searches) == 1:
        tables = _single([result for result in findings.results if result.method in ("", *findings.searches)])
    if len(findings.comparison.methods) > 1:
        tables += _compared(findings)
    return [*tables, *normalised_tables(findings)]


def claims_table(claims: Sequence[Claim]) -> Table:
    """The paper's claims with their protocols, verdicts and reasons."""
    table = narrow_table("The paper's claims, on these images", ["claim", "paths", "verdict", "why"], [])
    for claim in claims:
        table.add_row(claim.text, claim.protocol, Text(claim.verdict, "bold"), claim.reason)
    protocols = {claim.protocol: PROTOCOLS[claim.protocol] for claim in claims}
    table.caption = " ".join(f"{name}: {meaning}." for name, meaning in protocols.items())
    table.caption_style, table.caption_justify = "dim", "left"
    return table


def _single(results: Sequence[ConditionResult]) -> list[RenderableType]:
    """The tables of a single method: the path removed and enhanced, then others pruned."""
    of_run = list(measures_among(results[0].values).values())
    groups = _side_by_side(of_run)
    tables = [table(results, measures) for table in (_conditions, _pruned) for measures in groups]
    return [*tables, _legend("kept: neurons per layer.", of_run)]


def _conditions(results: Sequence[ConditionResult], measures: Sequence[ConditionMeasure]) -> Table:
    """Measures without an edit, with the path removed, and with the path enhanced."""
    title = f"The category path removed and enhanced ({results[0].images} held-out images)"
    table, whole = narrow_table(title, ["condition"], [measure.column for measure in measures]), _whole(results)
    for result in results:
        if result.condition in ("clean", "none", *_EDITED) and result.key in whole:
            size = "" if result.kept is None else f" (top {result.kept})"
            table.add_row(result.condition + size, *_values(result, measures))
    return table


def _pruned(results: Sequence[ConditionResult], measures: Sequence[ConditionMeasure]) -> Table:
    """Measures with others pruned, one section per number of neurons kept."""
    title = f"Others pruned, the category path kept ({results[0].images} held-out images)"
    table = narrow_table(title, ["kept", "others pruned"], [measure.column for measure in measures])
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
        _legend(introduction, [row for name, row in findings.measures.items() if name in compared]),
        *(_prunings(comparison, rows) for rows in _by_measure(comparison.under("kept"))),
    ]
    tables += [_paths(findings), _legend("", PATH_MEASURES)]
    return tables if not findings.claims else [*tables, claims_table(findings.claims)]


def _deviations(comparison: Comparison, rows: Sequence[ComparisonRow], images: int) -> Table:
    """Joint score, removal and enhancement: methods down, measures across."""
    table = narrow_table(
        f"Methods compared ({images} held-out images)", ["method"], [_head(row.compared) for row in rows]
    )
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
    table = narrow_table(title, ["pruned", "method"], list(map(str, sizes)))
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
    table = narrow_table("The paths themselves", ["method"], [measure.column for measure in PATH_MEASURES])
    for method in findings.comparison.methods:
        table.add_row(method, *(measure.text_of(findings, method) for measure in PATH_MEASURES))
    return table


def _values(result: ConditionResult, measures: Sequence[ConditionMeasure]) -> list[str]:
    """The formatted measures; blank for a change of the unedited model."""
    is_clean = result.condition == "clean"
    return ["" if is_clean and measure.change else measure.text(result.value(measure.name)) for measure in measures]
