"""The strangest paths of a run for a terminal and for a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType

from nplight.report.narrow_table import narrow_table
from nplight.results import StrangePath

SHOWN = 20


def strange_rows(search: str, paths: Sequence[StrangePath], names: Sequence[str]) -> list[dict[str, Any]]:
    """One row per image for `strangest.csv`, the strangest first.

    Args:
        search: the search that found the paths.
        paths: the strangest first.
        names: of the categories; empty if unknown.
    """
    return [
        {
            "search": search,
            "rank": rank,
            "index": path.index,
            "file": path.file,
            "category": path.category,
            "category_name": names[path.category] if names else "",
            "probability": path.probability,
            "strangeness": path.strangeness,
            "compared_with": path.images,
        }
        for rank, path in enumerate(paths, 1)
    ]


def strange_table(search: str, rows: Sequence[dict[str, Any]], against: str) -> RenderableType:
    """The first of the rows.

    Args:
        search: the search that found the paths.
        rows: of `strange_rows`.
        against: what the paths were compared with.
    """
    title = f"Strangest paths of {search}: distance to {against}"
    table = narrow_table(title, ["image", "category"], ["probability %", "strangeness"])
    for row in rows[:SHOWN]:
        name = str(row["category_name"] or row["category"])
        table.add_row(str(row["file"]), name, f"{100 * row['probability']:.1f}", f"{row['strangeness']:.3f}")
    return table
