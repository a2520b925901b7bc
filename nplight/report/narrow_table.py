"""Tables of at most 80 columns of text."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import JustifyMethod
from rich.table import Table

from nplight.methods import METHODS

_LONGEST = max(map(len, METHODS))


def narrow_table(title: str | None, keys: Sequence[str], measures: Sequence[str]) -> Table:
    """A table without rows.

    Args:
        title: above it, or `None`.
        keys: headings of the columns that name a row.
        measures: headings of the columns of numbers.
    """
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    if "method" in keys:
        table.padding = (0, 1, 0, 0)
    if {"neurons per layer", "search"} & set(keys):
        table.padding = (0, 0)
    for key in keys:
        justify: JustifyMethod = "right" if key in ("kept", "others pruned", "pruned") else "left"
        table.add_column(key, justify=justify, min_width=_LONGEST if key == "method" else None)
    for measure in measures:
        table.add_column(measure, justify="right")
    return table
