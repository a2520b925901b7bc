"""Values of the page's first sections: the summary of the run, its headline measures, the table of deviations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nplight.methods import is_control
from nplight.metrics import JOINT_SCORE, MEASURES, Measure
from nplight.report.effect_charts import pruning_title
from nplight.report.run_data import Run
from nplight.report.theme import enumerated

Row = Mapping[str, Any]


class Card(NamedTuple):
    """A headline measure with its interval, and its value for random neurons, empty if they were not tested."""

    value: str
    text: str
    interval: str
    random: str


class DeviationRow(NamedTuple):
    """A search, its joint score, and value and interval per measure of `Deviations`, empty if not measured."""

    search: str
    joint_score: str
    values: list[tuple[str, str]]


class Deviations(NamedTuple):
    """The table of the measures with the path removed and enhanced."""

    measures: list[str]
    rows: list[DeviationRow]


def summary(run: Run) -> list[tuple[str, str]]:
    """The summary of the run, as names and values."""
    about, search = run.about, run.settings.get("search", {})
    return [
        ("Model", about.get("model") or search.get("model") or "unknown"),
        ("Layers × neurons", f"{len(run.widths)} × {max(run.widths, default=0):,}"),
        ("Path tokens", about.get("path_tokens", "unknown")),
        ("Search", _searched(run)),
        ("Data", search.get("data") or "given by loaders"),
        ("Categories", f"{len(run.names):,}"),
        ("Paths found", f"{run.rows:,}"),
        ("Held-out images", f"{run.metrics.get('images', 0):,}"),
        ("Time", _time(about)),
    ]


def _searched(run: Run) -> str:
    main: Row = run.settings.get(f"search {run.methods[0]}", {}) if run.methods else {}
    parts = [main.get("method", ", ".join(run.methods[:1])), f"{run.top_k} per layer"]
    if "steps" in main:
        parts.append(f"{main['steps']} {main['rule']} nodes")
    return ", ".join(parts) + (f", and {len(run.methods) - 1} others" if len(run.methods) > 1 else "")


def headline(run: Run) -> list[Card]:
    """Measures of the main search: the clean accuracy, the path removed and enhanced, and only the path kept."""
    rows = _whole(run.metrics.get("conditions", []))
    main = [row for row in rows if row["method"] in ("", *run.methods[:1])]
    cards = []
    for row in main:
        if row["condition"] == "clean":
            cards.append((row, "accuracy", "top-1 accuracy without an edit"))
        elif row["condition"] in ("removed", "enhanced"):
            cards.append((row, "probability_deviation", f"mean change of probability, path {row['condition']}"))
    alone = next((row for row in main if row["condition"] == "kept" and row["pruned"] == 1), None)
    if alone is not None:
        neurons = f"{alone['kept']} neuron{'s' * (alone['kept'] > 1)} per layer kept, all others pruned"
        cards.append((alone, "accuracy", f"top-1 accuracy, {neurons}"))
    return [
        Card(
            _value(row, MEASURES[name], "%"),
            text,
            _interval(row, MEASURES[name], "%"),
            _of_random(rows, row, MEASURES[name]),
        )
        for row, name, text in cards
    ]


def _of_random(rows: list[Row], row: Row, measure: Measure) -> str:
    """The value of random neurons under the same condition, and the interval; empty without one."""
    # Runs of earlier versions have no other tokens, layers or scales.
    same = ("condition", "kept", "pruned", "tokens", "layers", "scale")
    for other in rows:
        if is_control(other["method"]) and all(other.get(name) == row.get(name) for name in same):
            return f"{_value(other, measure, '%')}, {_interval(other, measure, '%')}"
    return ""


def deviations(run: Run) -> Deviations:
    """The measures with the path removed and enhanced, per search."""
    conditions = [name for name in ("removed", "enhanced") if _results(run, name)]
    columns = [(name, measure) for name in conditions for measure in run.measures.values() if name in measure.compared]
    rows = []
    for method in run.tested:
        results = {name: _results(run, name, method) for name in conditions}
        values = [_with_interval(results[name], measure) for name, measure in columns]
        joint = run.metrics.get("paths", {}).get(method, {}).get("joint_score") or {}
        rows.append(DeviationRow(method, _shown(joint.get("value"), JOINT_SCORE), values))
    return Deviations([f"{name}: {measure.column}" for name, measure in columns], rows)


def measured_texts(run: Run) -> dict[str, str]:
    """Names of the run's measures, for headings and captions: `title` and `kept` of the pruning, `changes`."""
    objectives = [f"{row.title} ({row.unit})" for row in run.objectives]
    changes = ["Mean relative change of the label's probability (%)", "change of top-1 accuracy (points)"]
    return {
        "title": pruning_title(run),
        "kept": enumerated(["Top-1 accuracy (%)", *objectives]),
        "changes": enumerated([*changes, *(f"change of the {name}" for name in objectives)]),
    }


def _results(run: Run, condition: str, method: str | None = None) -> list[Row]:
    """The results under a condition, of one method or of all."""
    results = [result for result in _whole(run.metrics.get("conditions", [])) if result["condition"] == condition]
    return [result for result in results if method in (None, result["method"])]


def _whole(rows: list[Row]) -> list[Row]:
    """The rows of edits in all layers, at the main tokens, those of the first edit."""
    main = next((row["tokens"] for row in rows if row.get("tokens") and row["method"]), None)
    return [row for row in rows if row.get("layers") is None and row.get("tokens") in (None, main)]


def _with_interval(results: list[Row], measure: Measure) -> tuple[str, str]:
    return (_value(results[0], measure), _interval(results[0], measure)) if results else ("–", "")


def _value(row: Row, measure: Measure, unit: str = "") -> str:
    return _shown(row.get(measure.name), measure, unit)


def _interval(row: Row, measure: Measure, unit: str = "") -> str:
    return " … ".join(_shown(row.get(f"{measure.name}_{end}"), measure, unit) for end in ("low", "high"))


def _shown(value: float | None, measure: Measure, unit: str = "") -> str:
    return "–" if value is None else measure.text(value).replace("-", "−", 1) + unit


def _time(about: Row) -> str:
    if "seconds" not in about:
        return "unknown"
    minutes, seconds = divmod(round(about["seconds"]), 60)
    hours, minutes = divmod(minutes, 60)
    spent = f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return f"{spent} on {about.get('processes', 1)} × {about.get('device', 'unknown')}"
