"""Results as tables on a terminal, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nplight.metrics import ConditionResult

_MEASURES = ("top-1 %", "macro %", "prob. %", "Δ prob. %", "Δ top-1")


def result_tables(results: Sequence[ConditionResult], notes: Sequence[str], folder: Path) -> list[RenderableType]:
    """The deviation table, the pruning table, notes, and where the files are.

    Args:
        results: one a condition.
        notes: sentences that a reader must know.
        folder: the run folder.
    """
    images = results[0].images
    deviations = _table(f"The category path removed and enhanced ({images} held-out images)", ["condition"])
    for result in results:
        if result.condition != "kept":
            size = "" if result.kept is None else f" (top {result.kept})"
            deviations.add_row(result.condition + size, *_measures(result))

    pruning = _table(f"Others pruned, the category path kept ({images} held-out images)", ["kept", "others pruned"])
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
    return [deviations, pruning, legend, *(Text(f"Note: {note}.") for note in notes), Text(f"Results: {folder}")]


def _table(title: str, keys: Sequence[str]) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for key in keys:
        table.add_column(key, justify="right" if len(keys) > 1 else "left")
    for measure in _MEASURES:
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
