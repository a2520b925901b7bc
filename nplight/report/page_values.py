"""Plain values for the templates: similar categories, quadrature rules, the command that repeats the run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from nplight.report.page_data import Contents
from nplight.report.run_data import Run
from nplight.store.file_names import CONFIG


class SimilarPair(NamedTuple):
    """Two categories and the cosine between the neurons of their images; the interval is empty if unknown."""

    categories: str
    cosine: str
    interval: str


def similar_pairs(run: Run, page: Contents) -> list[tuple[str, list[SimilarPair]]]:
    """The most and the least similar pairs of categories, each list with its title."""
    titles = ("Most similar pairs", "Least similar pairs")
    return [
        (title, [_pair(run, page.data["names"], *pair) for pair in pairs]) for title, pairs in zip(titles, page.pairs)
    ]


def quadrature_rules(run: Run) -> list[tuple[int, str]]:
    """Steps and rule of the searches with a quadrature, each once."""
    sections = run.settings.values()
    return sorted({(section["steps"], section["rule"]) for section in sections if {"steps", "rule"} <= section.keys()})


def run_again(run: Run) -> str | None:
    """The command that repeats the run with its settings; `None` without a stored configuration."""
    config = run.path / CONFIG
    if not config.is_file():
        return None
    subcommand = run.settings.get("search", {}).get("command", "test")
    return f"python train.py {subcommand} --config {shlex.quote(str(config))}"


def _pair(run: Run, names: Sequence[str], first: int, second: int, cosine: float) -> SimilarPair:
    statistics = run.metrics.get("paths", {}).get(run.methods[0], {})
    measured = [*statistics.get("most_similar", ()), *statistics.get("least_similar", ())]
    matching = (pair for pair in measured if pair["categories"] == [first, second] and pair["low"] is not None)
    interval = next((f"{pair['low']:.3f} … {pair['high']:.3f}" for pair in matching), "")
    return SimilarPair(f"{names[first]} – {names[second]}", f"{cosine:.3f}", interval)
