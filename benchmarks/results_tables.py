"""The tables of docs/results.md, from its record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.results_record import Record
from nplight.methods import is_control
from nplight.metrics import MEASURES

Row = Mapping[str, Any]


SPREAD = ((0, "least"), (3, "median"), (6, "most"))
"""Position among the quantiles over categories, and its name."""


class Conditions:
    """The conditions of a run, looked up by search and condition."""

    def __init__(self, record: Record) -> None:
        self.rows: list[Row] = record["conditions"]
        self.searches: list[str] = [name for name in record["methods"] if not is_control(name)]

    def row(self, method: str, condition: str, **key: Any) -> Row | None:
        """The first row of a method under a condition; fields that are not given are `None`, but for `tokens`."""
        wanted = {"layers": None, "scale": None, **key}
        wanted |= {"method": method, "condition": condition}
        return next((row for row in self.rows if all(row[name] == value for name, value in wanted.items())), None)

    def control(self, search: str, condition: str, **key: Any) -> Row | None:
        """The random neurons beside a search."""
        names = ("random", f"random of {search}")
        return next((row for name in names if (row := self.row(name, condition, **key))), None)


def against_random(record: Record, columns: Mapping[str, Row], measure: str) -> str:
    """Searches down, conditions across: the value and its paired difference to random neurons.

    Args:
        record: of a run.
        columns: heading -> condition, with its other fields.
        measure: one of `MEASURES`.
    """
    conditions = Conditions(record)
    lines = [
        [f"`{search}`", *(_with_lead(conditions.row(search, **key), measure) for key in columns.values())]
        for search in conditions.searches
    ]
    first = conditions.searches[0]
    floor = ["random neurons", *(_value(conditions.control(first, **key), measure) for key in columns.values())]
    return table(["", *columns], [*lines, floor])


def extremes(record: Record) -> str:
    """The unedited model and no neuron kept: probability and top-1."""
    conditions = Conditions(record)
    rows = {
        "all neurons kept": conditions.row("", "clean"),
        "none kept, class token": conditions.row("", "none", tokens="path"),
        "none kept, all tokens": conditions.row("", "none", tokens="all"),
    }
    names = ("probability", "accuracy")
    lines = [[name, *(_value(row, measure) for measure in names)] for name, row in rows.items()]
    return table(["", *(MEASURES[name].label for name in names)], lines)


def protocols(record: Record) -> str:
    """The path removed and enhanced, under both protocols."""
    columns = {
        "own path removed": {"condition": "own removed"},
        "own path enhanced": {"condition": "own enhanced"},
        "category's path removed": {"condition": "removed", "tokens": "path"},
        "category's path enhanced": {"condition": "enhanced", "tokens": "path"},
    }
    conditions = Conditions(record)
    lines = [
        [f"`{search}`", *(_value(conditions.row(search, **key), "probability_deviation") for key in columns.values())]
        for search in conditions.searches
    ]
    control = [
        _value(conditions.control(conditions.searches[0], **key), "probability_deviation") for key in columns.values()
    ]
    return table(["", *columns], [*lines, ["random neurons", *control]])


def claims(record: Record) -> str:
    """The paper's claims, their protocol, verdict and reason."""
    lines = [
        [claim["text"], claim["protocol"], f"**{claim['verdict']}**", claim["reason"]] for claim in record["claims"]
    ]
    return table(["claim", "protocol", "verdict", "why"], lines, left=True)


def faithfulness(record: Record) -> str:
    """The areas of the normalised curves of probability and accuracy, at the class token and at all tokens."""
    curves = record["normalised_faithfulness"]
    keys = [(curve["measure"], curve["tokens"]) for curve in next(iter(curves.values()))]
    heads = [
        f"{area}, {MEASURES[measure].title}{', all tokens' if tokens == 'all' else ''}"
        for measure, tokens in keys
        for area in ("CPR", "CMD")
    ]
    lines = []
    for name in curves:
        found = {(curve["measure"], curve["tokens"]): curve for curve in curves[name]}
        cells = [interval(found[key][area], ".2f") for key in keys for area in ("cpr", "cmd")]
        lines.append([f"{name} neurons" if name in record["controls"] else f"`{name}`", *cells])
    return table(["", *heads], lines)


def by_search(record: Record, searches: Iterable[str], columns: Mapping[str, Row], measure: str) -> str:
    """Conditions down; searches and random neurons across."""
    conditions, searches = Conditions(record), list(searches)
    lines = [
        [
            head,
            *(_with_lead(conditions.row(search, **key), measure) for search in searches),
            _value(conditions.control(searches[0], **key), measure),
        ]
        for head, key in columns.items()
    ]
    return table(["", *(f"`{search}`" for search in searches), "random neurons"], lines)


def spread(record: Record, columns: Mapping[str, Row]) -> str:
    """The least, the median and the greatest change of a category's mean probability."""
    rows = record["by_category"]
    names = list(dict.fromkeys([*Conditions(record).searches, *record["controls"]]))
    lines = []
    for name in names:
        cells = []
        for key in columns.values():
            wanted = {"method": name, "layers": None, "scale": None, **key}
            row = next((row for row in rows if all(row[field] == value for field, value in wanted.items())), None)
            cells.append("–" if row is None else _quantiles(row["probability_deviation"]))
        lines.append([f"{name} neurons" if name in record["controls"] else f"`{name}`", *cells])
    return table(["", *columns], lines)


def stability(record: Record) -> str:
    """The share of a path that survives perturbations, beside two images of a category and random paths."""
    result = record["stability"]
    names = list(result["levels"])
    lines = [
        [
            f"`{search}`",
            *(_mean(values["kept"][name]) for name in names),
            interval(values["overall"], ".0f", 100),
            interval(values["same_category"], ".0f", 100),
            interval(values["over_same_category"], "+.0f", 100),
        ]
        for search, values in result["searches"].items()
    ]
    return table(["", *names, "all", "two images of a category", "difference"], lines)


def sanity(record: Record) -> str:
    """The share of a path that stays with randomised weights and for a wrong target, and what it is nearest to."""
    lines = [
        [
            f"`{search}`",
            interval(values["randomised"][0], ".0f", 100),
            interval(values["randomised"][-1], ".0f", 100),
            interval(values["wrong_target"], ".0f", 100),
            interval(values["nearest"]["wrong"], ".0f", 100),
            interval(values["nearest"]["own"], ".0f", 100),
            interval(values["nearest_before"]["own"], ".0f", 100),
        ]
        for search, values in record["sanity"]["searches"].items()
    ]
    heads = ["head randomised", "all randomised", "wrong target", "nearest: wrong", "nearest: own", "own, right target"]
    return table(["", *heads], lines)


def read_out(record: Record) -> str:
    """The share of images whose category is told from the path alone."""
    content = record["sanity"]["read_out"]
    names = {
        **{f"`{name}`": values for name, values in content["searches"].items()},
        "random paths": content["control"],
    }
    lines = [
        [name, *(interval(values[target], ".1f", 100) for target in ("label", "prediction"))]
        for name, values in names.items()
    ]
    return table(["", "searched for the label", "searched for the prediction"], lines)


def paths(record: Record) -> str:
    """What the paths of images have in common: with the first search, within a category, between categories."""
    agreement = record["method_agreement"]
    lines = []
    for name, values in record["paths"].items():
        neurons = agreement[name]["neurons"] if name in agreement else None
        distance = values["distance"]
        stays = values.get("category_path_stability")
        lines.append(
            [
                f"`{name}`",
                "–" if neurons is None else interval(neurons, ".2f"),
                interval(distance["within"], ".2f"),
                interval(distance["between"], ".2f"),
                "–" if stays is None else interval(stays, ".2f"),
            ]
        )
    first = agreement.get("with", "the first")
    return table(["", f"in common with `{first}`", "distance within", "distance between", "category path stays"], lines)


def coverage(content: Mapping[str, Sequence[Row]]) -> str:
    """How often the intervals cover the truth, by simulation."""
    lines = [
        [row["name"], str(row["images"]), *(f"{row[name]:.1%}" for name in ("covered", "above", "below", "normal"))]
        for row in content["coverage"]
    ]
    return table(["measured", "images", "covered", "interval above", "interval below", "other interval"], lines)


def wrong_verdicts(content: Mapping[str, Sequence[Row]]) -> str:
    """How often a verdict is wrong, by simulation."""
    lines = [
        [row["name"], str(row["images"]), *(f"{row[name]:.1%}" for name in ("wrong", "normal"))]
        for row in content["verdicts"]
    ]
    return table(["verdict", "images", "wrong", "by the normal interval"], lines)


def interval(estimate: Row, form: str, factor: float = 1) -> str:
    """A value with its interval; a dash without a value."""
    if estimate["value"] is None:
        return "–"
    value = _plain(estimate["value"] * factor, form)
    if estimate["low"] is None:
        return value
    return f"{value} [{_plain(estimate['low'] * factor, form)}, {_plain(estimate['high'] * factor, form)}]"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, left: bool = False) -> str:
    """A Markdown table; numbers are right-aligned, and texts left-aligned."""
    lines = [heads, ["---", *["---" if left else "---:"] * (len(heads) - 1)], *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _value(row: Row | None, measure: str) -> str:
    if row is None or row[measure] is None:
        return "–"
    return interval(_estimate(row, measure), MEASURES[measure].format, MEASURES[measure].factor)


def _with_lead(row: Row | None, measure: str) -> str:
    """The value, and its difference to random neurons with the interval."""
    if row is None or row[measure] is None:
        return "–"
    kind = MEASURES[measure]
    lead = f"{measure}_vs_random"
    if row.get(lead) is None:
        return kind.text(row[measure])
    form = f"+{kind.format.lstrip('+')}"
    return f"{kind.text(row[measure])}; {interval(_estimate(row, lead), form, kind.factor)}"


def _estimate(row: Row, name: str) -> Row:
    return {"value": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}


def _quantiles(values: Sequence[float]) -> str:
    form = MEASURES["probability_deviation"].format
    return " / ".join(_plain(values[position] * 100, form) for position, _ in SPREAD) if values else "–"


def _mean(estimates: Sequence[Row]) -> str:
    values = [estimate["value"] for estimate in estimates]
    return "–" if None in values else _plain(sum(values) / len(values) * 100, ".0f")


def _plain(value: float, form: str) -> str:
    """A formatted number, without the sign of a rounded 0 that is below 0."""
    text = format(value, form)
    return text.lstrip("-") if float(text) == 0 else text
