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


class PairList(NamedTuple):
    """A list of pairs with its title; a sentence instead if there are too many to list."""

    title: str
    pairs: list[SimilarPair]
    sentence: str


def similar_pairs(run: Run, page: Contents) -> dict[str, list[PairList]]:
    """The most and the least similar pairs of categories of each search."""
    lists = {}
    for search, similar in page.pairs.items():
        most, least = (
            [_pair(run, search, page.data["names"], *pair) for pair in pairs] for pairs in (similar.most, similar.least)
        )
        sentence = "" if least or not similar.apart else f"{similar.apart:,} pairs have no neuron in common."
        lists[search] = [PairList("Most similar pairs", most, ""), PairList("Least similar pairs", least, sentence)]
    return lists


def selectivity_caption(run: Run) -> str:
    """What the selectivity shows, counted; empty if it was not measured."""
    accuracy = run.selectivity.get("accuracy")
    if not accuracy:
        return ""
    tested = [(number, row) for number, row in enumerate(accuracy) if row[number] is not None]
    best = sum(row[number] >= max(value for value in row if value is not None) for number, row in tested)
    search = f", search {run.selectivity['search']}" if "search" in run.selectivity else ""
    return (
        "Top-1 accuracy (%) of each category's held-out images (rows) when only the neurons of a category's path "
        f"(columns) are kept{search}. In {best} of {len(tested)} categories no other path keeps more than their own."
    )


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


def _pair(run: Run, search: str, names: Sequence[str], first: int, second: int, cosine: float) -> SimilarPair:
    statistics = run.metrics.get("paths", {}).get(search, {})
    measured = [*statistics.get("most_similar", ()), *statistics.get("least_similar", ())]
    matching = (pair for pair in measured if pair["categories"] == [first, second] and pair["low"] is not None)
    interval = next((f"{pair['low']:.3f} … {pair['high']:.3f}" for pair in matching), "")
    return SimilarPair(f"{names[first]} – {names[second]}", f"{cosine:.3f}", interval)
