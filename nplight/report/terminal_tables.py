"""Results as tables on a terminal, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from nplight.methods import METHODS
from nplight.metrics import ConditionResult, Estimate, SelectivitySummary, estimate
from nplight.results import Comparison, Findings, Measure

_LONGEST = max(map(len, METHODS))
_MEASURES = ("top-1 %", "macro %", "prob. %", "Δ prob. %", "Δ top-1")


def findings_tables(found: Findings, folder: Path) -> list[RenderableType]:
    """What a run found: the measures of its method, or several methods side by side; notes; where the files are.

    Args:
        found: the findings.
        folder: the run folder.
    """
    several = len(found.comparison.methods) > 1
    return [
        *(_compared(found) if several else _alone(found.results)),
        *(Text(f"Note: {note}.") for note in found.notes),
        Text(f"Results: {folder} (metrics.csv: with 95% intervals)"),
    ]


def selectivity_table(summary: SelectivitySummary, search: str, kept: int) -> RenderableType:
    """Accuracy under an image's own path against that under the others."""
    title = f"Selectivity of {search}: {kept} kept a layer, all others pruned ({summary.own.images} images)"
    table = _table(title, ["path of"], ["top-1 %", "95% interval"])
    rows = (
        ("the image's category", summary.own, ".1f"),
        ("other categories", summary.others, ".1f"),
        ("difference", summary.difference, "+.1f"),
    )
    for name, found, form in rows:
        values = [format(value * 100, form) for value in (found.value, found.low, found.high)]
        table.add_row(name, values[0], f"{values[1]} … {values[2]}")
    return table


def _alone(results: Sequence[ConditionResult]) -> list[RenderableType]:
    """The deviation table and the pruning table of one method."""
    images = results[0].images
    deviations = _table(f"The category path removed and enhanced ({images} held-out images)", ["condition"], _MEASURES)
    for result in results:
        if result.condition != "kept":
            size = "" if result.kept is None else f" (top {result.kept})"
            deviations.add_row(result.condition + size, *_measures(result))

    title = f"Others pruned, the category path kept ({images} held-out images)"
    pruning = _table(title, ["kept", "others pruned"], _MEASURES)
    previous = None
    for result in results:
        if result.condition == "kept":
            if previous not in (None, result.kept):
                pruning.add_section()
            kept = "" if result.kept == previous else str(result.kept)
            pruning.add_row(kept, f"{result.pruned:.0%}", *_measures(result))
            previous = result.kept

    legend = Text(
        "kept: neurons a layer. top-1: accuracy over images. macro: mean over categories.\n"
        "prob.: mean probability of the label. Δ prob.: its mean relative change.\n"
        "Δ top-1: change of top-1 accuracy, in percentage points.",
        style="dim",
    )
    return [deviations, pruning, legend]


def _compared(found: Findings) -> list[RenderableType]:
    """Methods side by side; their paths; the claims."""
    clean = found.results[0]
    legend = Text(
        f"Bold: the best. Without an edit top-1, the accuracy, is {clean.accuracy:.1%}.\n"
        "JAS: on the images that the paths were found with. probability: that of the\n"
        "label; its mean relative change.",
        style="dim",
    )
    tables: list[RenderableType] = [_deviations(found.comparison, clean.images), legend]
    if any(measure.figure == "accuracy" for measure in found.comparison.measures):
        tables.append(_prunings(found.comparison))
    meaning = Text(
        "area: mean top-1 over the logarithm of the neurons kept, all others pruned;\n"
        "over random: its lead. as first: neurons in common with the first method.\n"
        "within, between: distance of two images' paths, 1 - the share in common, in a\n"
        "category and between two.",
        style="dim",
    )
    tables += [_paths(found), meaning]
    return tables if not found.claims else [*tables, _claims(found)]


def _deviations(comparison: Comparison, images: int) -> Table:
    """Joint score, removal and enhancement: methods down, measures across."""
    rows = [row for row, measure in enumerate(comparison.measures) if measure.figure != "accuracy"]
    table = _table(
        f"Methods compared ({images} held-out images)", ["method"], [_head(comparison.measures[row]) for row in rows]
    )
    for place, method in enumerate(comparison.methods):
        table.add_row(method, *(_best(comparison, row, place) for row in rows))
    return table


def _prunings(comparison: Comparison) -> Table:
    """Accuracy with others pruned: methods down, numbers kept across, a section for each share pruned."""
    rows = {}
    for row, measure in enumerate(comparison.measures):
        if measure.condition is not None and measure.figure == "accuracy":
            rows[measure.condition.pruned, measure.condition.kept] = row
    shares, sizes = (list(dict.fromkeys(keys)) for keys in zip(*rows))
    table = _table("Top-1 % with others pruned, by neurons a layer kept", ["pruned", "method"], list(map(str, sizes)))
    for share in shares:
        table.add_section()
        for place, method in enumerate(comparison.methods):
            values = [_best(comparison, rows[share, size], place) for size in sizes]
            table.add_row("" if place else f"{share:.0%}", method, *values)
    return table


def _head(measure: Measure) -> str:
    if measure.condition is None:
        return "JAS"
    return f"{measure.condition.name}\nΔ " + ("prob. %" if measure.figure == "probability_deviation" else "top-1")


def _best(comparison: Comparison, row: int, place: int) -> Text:
    value = comparison.measures[row].text(comparison.cells[row][place].value)
    return Text(value, "bold" if comparison.best(row)[place] else "")


def _paths(found: Findings) -> Table:
    """Faithfulness, agreement and distances, one line a method."""
    table = _table("The paths themselves", ["method"], ["area", "over random", "as first", "within", "between"])
    for method in found.comparison.methods:
        curve, statistics = found.curves.get(method), found.statistics.get(method)
        agreement = found.agreements.get(method)
        table.add_row(
            method,
            _value(curve.area if curve else None),
            _value(found.leads.get(method), "+.3f"),
            _value(estimate(agreement.neurons) if agreement else None),
            _value(statistics.distance.within if statistics else None),
            _value(statistics.distance.between if statistics else None),
        )
    return table


def _claims(found: Findings) -> Table:
    table = _table("The paper's claims, on these images", ["claim", "verdict", "why"], [])
    for claim in found.claims:
        table.add_row(claim.text, Text(claim.verdict, "bold"), claim.reason)
    return table


def _value(found: Estimate | None, form: str = ".3f") -> str:
    return "–" if found is None or found.value != found.value else format(found.value, form)


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


def _measures(result: ConditionResult) -> list[str]:
    changed = result.condition != "clean"
    return [
        f"{result.accuracy:.1%}".rstrip("%"),
        f"{result.accuracy_macro:.1%}".rstrip("%"),
        f"{result.probability:.1%}".rstrip("%"),
        f"{result.probability_deviation * 100:+.2f}" if changed else "",
        f"{result.accuracy_deviation * 100:+.2f}" if changed else "",
    ]
