"""How well methods recover known paths, as tables on a terminal, at most 80 columns wide."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Container

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nplight.methods import is_control
from nplight.planted import Judgements
from nplight.planted.case_groups import CASE_TABLES, CaseTable

_LONGEST_HEAD = 8
MEASURE_TITLES = {"recall": "Found", "removed": "Removed"}
"""Measure -> what a table of it is called."""
_MEANINGS = {
    "recall": "recall of the planted neurons",
    "removed": "what the removal of the found path does to the label's probability, of what that of the known path "
    "does",
}


def planted_tables(judgements: Judgements) -> list[RenderableType]:
    """Methods down, groups of cases across."""
    parts: list[RenderableType] = [Text(f"Objective: {judgements.objective}", style="bold")]
    shown = [
        (groups, measure) for groups in CASE_TABLES if judged_columns(judgements, groups) for measure in groups.measures
    ]
    for groups, measure in shown:
        title = Text(f"{MEASURE_TITLES[measure]}, {groups.title}", style="bold")
        parts += [title, _table(judgements, groups, measure)]
    return [*parts, Text(textwrap.fill(_legend({measure for _, measure in shown}), 80), style="dim")]


def _legend(measures: Container[str]) -> str:
    """What the measures of the tables mean."""
    meanings = [
        f"{MEASURE_TITLES[measure]}: {meaning}." for measure, meaning in _MEANINGS.items() if measure in measures
    ]
    return " ".join(["Means over the cases of a column, in %.", *meanings, "The control is random."])


def judged_columns(judgements: Judgements, groups: CaseTable) -> dict[str, tuple[str, ...]]:
    """The columns of a table with cases that were judged."""
    cases = set(judgements.cases)
    return {column: names for column, names in groups.columns.items() if cases.intersection(names)}


def _table(judgements: Judgements, groups: CaseTable, measure: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    table.add_column("method", min_width=max(map(len, judgements.methods)))
    columns = judged_columns(judgements, groups)
    for column in columns:
        table.add_column(_on_two_lines(column), justify="right")
    for method in judgements.methods:
        values = [judgements.mean(cases, method, measure) for cases in columns.values()]
        table.add_row(Text(method, "dim" if is_control(method) else ""), *map(percent, values))
    return table


def percent(value: float) -> str:
    """A share in percent, without decimals; a dash for what is not defined."""
    return "–" if math.isnan(value) else str(round(100 * value))


def _on_two_lines(head: str) -> str:
    """A long head, broken at its space, after its first underscore or in its middle."""
    if len(head) <= _LONGEST_HEAD:
        return head
    if " " in head:
        return head.replace(" ", "\n", 1)
    first, underscore, rest = head.partition("_")
    middle = (len(head) + 1) // 2
    return f"{first}_\n{rest}" if underscore else f"{head[:middle]}-\n{head[middle:]}"
