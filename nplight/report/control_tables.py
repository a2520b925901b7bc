"""The first screen of a run: paths against random neurons, with paired differences, and a verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nplight.metrics import MEASURES, Condition, ConditionResult
from nplight.report.narrow_table import narrow_table
from nplight.results import ControlledTest, Findings, controlled_tests, verdict
from nplight.results.verdict import Standing

_PROBABILITY = MEASURES["probability"]
_SIDE_BY_SIDE = 2
"""Searches whose values fit side by side into 80 columns."""
_ROWS = 6
"""Conditions in the table; of more, those in which paths are furthest ahead."""

Tests = Mapping[Condition, Sequence[ControlledTest]]


def control_tables(findings: Findings) -> list[RenderableType]:
    """The mean probability along paths and random neurons, with the conditions first in which paths are furthest ahead.

    Conditions in which no search is told from random neurons are one line, and so is the pruning of a part of the other
    neurons. The verdict is on the removal of the path.

    Args:
        findings: of a run with random neurons as a control.
    """
    tests = controlled_tests(findings, _PROBABILITY)
    title = f"Mean probability of the label, %: paths against random neurons ({findings.images} images)"
    ordered = sorted(tests, key=lambda condition: -_lead(tests[condition]))
    told = [condition for condition in ordered if _has(tests[condition], "ahead", "behind")]
    if len(findings.searches) <= _SIDE_BY_SIDE:
        shown = told[:_ROWS]
        table = _searches_side_by_side({condition: tests[condition] for condition in shown or ordered[:1]})
    else:
        shown = _conditions_across(tests)
        table = _searches_down({condition: tests[condition] for condition in shown})
    more = [condition for condition in told if condition not in shown]
    lines = [
        "Each cell: the path's value, its difference to random, [95% interval].",
        _extremes(findings.results),
        *_folded("Also ahead of random", [condition for condition in more if _has(tests[condition], "ahead")]),
        *_folded("Behind random", [condition for condition in more if not _has(tests[condition], "ahead")]),
        *_folded("Not told from random", [condition for condition in ordered if condition not in told]),
        *_partly_pruned(findings),
    ]
    return [
        Text(title, "bold"),
        table,
        Text("\n".join(textwrap.fill(line, 80) for line in lines), "dim"),
        Text(""),
        *_verdict(findings),
    ]


def _searches_side_by_side(tests: Tests) -> Table:
    """Conditions down, searches across."""
    searches = [test.search for test in next(iter(tests.values()))]
    table = narrow_table(None, ["neurons per layer"], ["random", *searches])
    for condition, row in tests.items():
        table.add_row(_name(condition), _PROBABILITY.text(row[0].floor.value), *map(_cell, row))
    return table


def _searches_down(tests: Tests) -> Table:
    """Searches down, conditions across."""
    table = narrow_table(None, ["search"], [_name(condition) for condition in tests])
    for tests_of_search in zip(*tests.values()):
        table.add_row(tests_of_search[0].search, *map(_cell, tests_of_search))
    table.add_row("random", *(_PROBABILITY.text(row[0].floor.value) for row in tests.values()))
    return table


def _conditions_across(tests: Tests) -> list[Condition]:
    """Of the main tokens and of all: the path removed, or the second number of neurons kept; two fit into a table."""
    kept = [condition for condition in tests if condition.name == "kept"]
    main = [condition for condition in kept if condition.tokens == kept[0].tokens]
    chosen = [condition for condition in tests if condition.name == "removed"][:1]
    return [*chosen, *main[1:2]] if len(main) > 1 else [*chosen, *main[:1]]


def _verdict(findings: Findings) -> list[RenderableType]:
    tests = controlled_tests(findings, MEASURES["probability_deviation"])
    removed = next((row for condition, row in tests.items() if condition.name == "removed"), None)
    return [] if removed is None else [Text(textwrap.fill(verdict(removed), 80), "bold")]


def _has(tests: Sequence[ControlledTest], *standings: Standing) -> bool:
    """Whether a search has one of these standings."""
    return any(test.standing in standings for test in tests)


def _lead(tests: Sequence[ControlledTest]) -> float:
    """The least that any path is ahead by, by the interval; minus infinity without one."""
    ends = [
        -test.difference.high if test.condition == "removed" else test.difference.low
        for test in tests
        if test.difference.low == test.difference.low
    ]
    return min(ends, default=float("-inf"))


def _name(condition: Condition) -> str:
    edit = f"{condition.kept} kept" if condition.name == "kept" else f"{condition.kept} {condition.name}"
    return f"{edit}, all tokens" if condition.tokens == "all" else edit


def _cell(test: ControlledTest) -> str:
    """The path's value, its difference to the control, and the interval of that."""
    difference, factor = test.difference, test.measure.factor
    numbers = [number * factor for number in (difference.value, difference.low, difference.high)]
    digits = 2 if abs(numbers[0]) < 1 else 1
    lead, low, high = (f"{number:.{digits}f}" for number in numbers)
    interval = f" [{low}, {high}]" if difference.low == difference.low else ""
    return f"{test.measure.text(test.path.value)} {'+' if numbers[0] > 0 else ''}{lead}{interval}"


def _extremes(results: Sequence[ConditionResult]) -> str:
    """The values without an edit, and with no neuron kept."""
    clean = next(result for result in results if result.condition == "clean")
    none = [_both(result) + _at_all(result) for result in results if result.condition == "none"]
    floors = [f"no neuron kept: {', '.join(none)}"] if none else []
    return "; ".join([f"Unedited: {_both(clean)}", *floors]) + "."


def _both(result: ConditionResult) -> str:
    """Probability and accuracy."""
    accuracy = MEASURES["accuracy"]
    probability = _PROBABILITY.text(result.value("probability"))
    return f"{probability} (top-1 {accuracy.text(result.value('accuracy'))})"


def _at_all(result: ConditionResult) -> str:
    return " at all tokens" if result.tokens == "all" else ""


def _folded(what: str, conditions: Sequence[Condition]) -> list[str]:
    return [f"{what}: {'; '.join(map(_name, conditions))}."] if conditions else []


def _partly_pruned(findings: Findings) -> list[str]:
    """The range of top-1 with a part of the other neurons pruned, of the searches' paths."""
    rows = [
        result
        for result in findings.results
        if result.pruned not in (None, 1) and result.layers is None and result.method in findings.searches
    ]
    if not rows:
        return []
    shares = [row.pruned for row in rows if row.pruned is not None]
    values = [row.value("accuracy") for row in rows]
    share = " to ".join(dict.fromkeys(f"{end:.0%}" for end in (min(shares), max(shares))))
    return [f"{share} of the others pruned: top-1 from {min(values):.1%} to {max(values):.1%}."]
