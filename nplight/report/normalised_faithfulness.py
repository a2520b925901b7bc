"""Areas of normalised faithfulness of a run whose searches attribute other objectives than the probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from rich.console import RenderableType
from rich.text import Text

from nplight.metrics import MEASURES, NormalisedFaithfulness, measures_among
from nplight.report.narrow_table import narrow_table
from nplight.report.run_data import Run
from nplight.results import Findings

LEGEND = (
    "(f(k) − f(none)) / (f(all) − f(none)) for k neurons kept per layer. CPR: the area under it over log(1 + k), 1 at "
    "best; CMD: the area between it and 1, 0 at best. Without a value: pruning every neuron is not shown to change the "
    "measure."
)

Curves = Mapping[str, Sequence[Mapping[str, Any]]]


class Areas(NamedTuple):
    """The areas of one curve as text, each with its interval."""

    tokens: str
    measure: str
    method: str
    cpr: tuple[str, str]
    cmd: tuple[str, str]


def areas(run: Run) -> list[Areas]:
    """The areas of every curve of a run, in groups by tokens and measure; none without another objective."""
    return _areas(_of_objectives(run.metrics.get("normalised_faithfulness", {})))


def normalised_tables(findings: Findings) -> list[RenderableType]:
    """The areas for a terminal, one table per tokens; none without another objective."""
    rows = _areas(_of_objectives(_plain(findings.normalised)))
    tables: list[RenderableType] = []
    for tokens, group in groupby(rows, key=lambda row: row.tokens):
        title = f"Normalised faithfulness, {_at(tokens)}"
        table = narrow_table(title, ["measure", "search"], [])
        table.columns[1].overflow = "fold"
        for area in ("CPR", "CMD"):
            table.add_column(area, justify="right", no_wrap=True)
        previous = None
        for row in group:
            if previous not in (None, row.measure):
                table.add_section()
            cells = [f"{value} [{interval}]" if interval else value for value, interval in (row.cpr, row.cmd)]
            table.add_row("" if row.measure == previous else row.measure, row.method, *cells)
            previous = row.measure
        tables.append(table)
    return [*tables, Text(LEGEND, style="dim")] if tables else []


def _of_objectives(curves: Curves) -> Curves:
    """The curves where one of them is of another objective than the probability; else none."""
    names = {curve["measure"] for several in curves.values() for curve in several}
    return curves if names - set(MEASURES) else {}


def _plain(curves: Mapping[str, Sequence[NormalisedFaithfulness]]) -> Curves:
    return {method: [curve.to_dict() for curve in several] for method, several in curves.items()}


def _areas(curves: Curves) -> list[Areas]:
    kinds = dict.fromkeys((curve["tokens"], curve["measure"]) for several in curves.values() for curve in several)
    return [
        Areas(tokens, _title(measure), method, _text(curve["cpr"]), _text(curve["cmd"]))
        for tokens, measure in kinds
        for method, several in curves.items()
        for curve in several
        if (curve["tokens"], curve["measure"]) == (tokens, measure)
    ]


def _text(area: Mapping[str, Any] | None) -> tuple[str, str]:
    """Value and interval, which is empty if there is none."""
    if area is None or area["value"] is None:
        return "–", ""
    return f"{area['value']:.2f}", "" if area["low"] is None else f"{area['low']:.2f}, {area['high']:.2f}"


def _title(measure: str) -> str:
    row = measures_among([measure]).get(measure)
    return measure if row is None else row.title


def _at(tokens: str) -> str:
    return f"{tokens} tokens"
