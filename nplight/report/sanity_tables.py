"""The stability of paths, their sanity checks and the read-out as tables for a terminal, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def stability_table(result: Mapping[str, Any]) -> RenderableType:
    """Which share of the paths survives, per search and perturbation, and what to compare it with.

    Args:
        result: the content of `stability.json`.
    """
    names = list(result["levels"])
    title = f"Share of a path (%) that survives, mean over severities ({result['images']} discover images)"
    columns = [*(name.replace("brightness", "bright") for name in names), "same", "over same"]
    table = _table(title, columns)
    for search, values in result["searches"].items():
        means = [_mean(values["kept"][name]) for name in names]
        difference = values["over_same_category"]
        table.add_row(
            search,
            *map(_percent, means),
            _percent(values["same_category"]["value"]),
            _interval(difference, ".0f"),
        )
    random = f"Random paths have {result['random']:.1%} in common. "
    legend = "same: two different images of a category. over same: their mean less same, with its 95% interval."
    return Group(table, Text(random + legend, style="dim"))


def sanity_table(result: Mapping[str, Any]) -> RenderableType:
    """Which share of the paths stays with randomised weights and for a wrong target, and whose path is then nearest.

    Args:
        result: the content of `sanity.json`.
    """
    title = f"Sanity checks: share of a path (%) that stays ({result['images']} discover images)"
    steps = result["steps"]
    columns = ["head", "all", "wrong\ntarget", "near\nwrong", "near\nown", "was\nown"]
    table = _table(title, columns)
    for search, values in result["searches"].items():
        nearest = values["nearest"]
        table.add_row(
            search,
            _percent(values["randomised"][0]["value"]),
            _percent(values["randomised"][-1]["value"]),
            _interval(values["wrong_target"], ".0f"),
            _percent(nearest["wrong"]["value"]),
            _percent(nearest["own"]["value"]),
            _percent(values["nearest_before"]["own"]["value"]),
        )
    legend = (
        f"head, all: these weights randomised, the first and the last of {len(steps)} steps. Random paths have "
        f"{result['random']:.1%} in common. near: images (%) whose path for the wrong target is nearest to the wrong "
        "category's path, and to their own category's; was: for the right target."
    )
    return Group(table, Text(legend, style="dim"))


def read_out_table(result: Mapping[str, Any]) -> RenderableType:
    """How well the category is told from the path alone.

    Args:
        result: the content of `sanity.json`.
    """
    read_out = result["read_out"]
    table = _table("Read-out: images (%) whose category is told from the path alone", ["for label", "for prediction"])
    for search, values in {**read_out["searches"], "random control": read_out["control"]}.items():
        table.add_row(search, *(_interval(values[target], ".1f") for target in ("label", "prediction")))
    return Group(table, Text(f"Caveat: {read_out['caveat']}.", style="dim"))


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(
        title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False, show_edge=False
    )
    table.padding = (0, 1, 0, 0)
    table.add_column("search", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _mean(estimates: Sequence[Mapping[str, Any]]) -> float | None:
    values = [estimate["value"] for estimate in estimates]
    return None if None in values else sum(values) / len(values)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.0f}"


def _interval(estimate: Mapping[str, Any], form: str) -> str:
    if estimate["value"] is None:
        return "–"
    value, low, high = (format(estimate[name] * 100, form) for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"
