"""What was run, and what the paths do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nplight.metrics import JOINT_SCORE, MEASURES, Measure
from nplight.report.html import escape, facts, known_charts, short, table
from nplight.report.page_data import Contents
from nplight.report.run_data import Run
from nplight.report.texts import CLAIMS, DEVIATIONS, NO_METRICS

Row = Mapping[str, Any]


def run_section(run: Run, found: Contents) -> str:
    """The headline numbers, what was run, and its settings."""
    about, search = run.about, run.settings.get("search", {})
    pairs = [
        ("Model", short(about.get("model") or search.get("model") or "unknown")),
        ("Layers × neurons", f"{len(run.widths)} × {max(run.widths, default=0):,}"),
        ("Path tokens", short(about.get("path_tokens", "unknown"))),
        ("Search", short(_searched(run))),
        ("Data", short(search.get("data") or "given by loaders")),
        ("Categories", f"{len(run.names):,}"),
        ("Paths found", f"{run.rows:,}"),
        ("Held-out images", f"{run.metrics.get('images', 0):,}"),
        ("Time", short(_time(about))),
    ]
    return _headline(run) + facts(pairs) + _settings(run)


def effect_section(run: Run, found: Contents) -> str:
    """The deviations, the charts of accuracy, the claims."""
    if not run.metrics:
        return f'<p class="absent">{NO_METRICS}</p>'
    return _deviations(run) + known_charts(found.figures, "pruning", "faithfulness") + _claims(run)


def _searched(run: Run) -> str:
    main: Row = run.settings.get(f"search {run.methods[0]}", {}) if run.methods else {}
    known = [main.get("method", ", ".join(run.methods[:1])), f"{run.top_k} a layer"]
    if "steps" in main:
        known.append(f"{main['steps']} {main['rule']} nodes")
    return ", ".join(known) + (f", and {len(run.methods) - 1} others" if len(run.methods) > 1 else "")


def _headline(run: Run) -> str:
    rows = run.metrics.get("conditions", [])
    own = [row for row in rows if row["method"] in ("", *run.methods[:1])]
    cards = []
    for row in own:
        if row["condition"] == "clean":
            cards.append((row, "accuracy", "top-1 accuracy, untouched"))
        elif row["condition"] in ("removed", "enhanced"):
            cards.append((row, "probability_deviation", f"mean change of probability, path {row['condition']}"))
    alone = next((row for row in own if row["condition"] == "kept" and row["pruned"] == 1), None)
    if alone is not None:
        neurons = f"{alone['kept']} neuron{'s' * (alone['kept'] > 1)} a layer kept, all others pruned"
        cards.append((alone, "accuracy", f"top-1 accuracy, {neurons}"))
    items = (
        f"<li><strong>{_value(row, MEASURES[name], '%')}</strong><span>{text}</span>"
        f"<small>95% interval {_interval(row, MEASURES[name], '%')}</small></li>"
        for row, name, text in cards
    )
    return f'<ul class="cards">{"".join(items)}</ul>' if cards else ""


def _settings(run: Run) -> str:
    parts = [
        f"<h4>{escape(name)}</h4>{facts((key, short(value)) for key, value in values.items())}"
        for name, values in run.settings.items()
    ]
    return f"<details><summary>All settings</summary>{''.join(parts)}</details>"


def _deviations(run: Run) -> str:
    conditions = [name for name in ("removed", "enhanced") if _results(run, name)]
    columns = [(name, one) for name in conditions for one in MEASURES.values() if name in one.compared]
    lines = []
    for method in run.methods:
        results = {name: _results(run, name, method) for name in conditions}
        cells = [_with_interval(results[name][0], measure) if results[name] else "–" for name, measure in columns]
        joint = run.metrics.get("paths", {}).get(method, {}).get("joint_score") or {}
        lines.append((short(method), _shown(joint.get("value"), JOINT_SCORE), *cells))
    head = ["search", "joint score", *(f"{name}: {measure.column}" for name, measure in columns)]
    return table("The path removed and enhanced", head, lines, DEVIATIONS)


def _results(run: Run, condition: str, method: str | None = None) -> list[Row]:
    """Of a condition, of one method or all."""
    results = [result for result in run.metrics["conditions"] if result["condition"] == condition]
    return [result for result in results if method in (None, result["method"])]


def _claims(run: Run) -> str:
    claims = run.metrics.get("claims", [])
    rows = [(escape(one["text"]), f"<b>{escape(one['verdict'])}</b>", escape(one["reason"])) for one in claims]
    return table("The paper's claims", ["claim", "verdict", "figure"], rows, CLAIMS) if rows else ""


def _with_interval(row: Row, measure: Measure) -> str:
    return f"{_value(row, measure)}<br><small>{_interval(row, measure)}</small>"


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
