"""What was run, and what the paths do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nplight.report.html import escape, facts, known_charts, short, table
from nplight.report.page_data import Contents
from nplight.report.run_data import Run
from nplight.report.texts import CLAIMS, DEVIATIONS, NO_METRICS

Row = Mapping[str, Any]

_DEVIATIONS = ("probability_deviation", "accuracy_deviation")


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
        f"<li><strong>{_value(row, figure)}</strong><span>{text}</span>"
        f"<small>95% interval {_interval(row, figure)}</small></li>"
        for row, figure, text in cards
    )
    return f'<ul class="cards">{"".join(items)}</ul>' if cards else ""


def _settings(run: Run) -> str:
    parts = [
        f"<h4>{escape(name)}</h4>{facts((key, short(value)) for key, value in values.items())}"
        for name, values in run.settings.items()
    ]
    return f"<details><summary>All settings</summary>{''.join(parts)}</details>"


def _deviations(run: Run) -> str:
    lines = []
    for method in run.methods:
        rows = [row for row in run.metrics["conditions"] if row["method"] == method]
        own = {row["condition"]: row for row in rows if row["condition"] in ("removed", "enhanced")}
        cells = [
            f"{_value(own[name], figure, '')}<br><small>{_interval(own[name], figure, '')}</small>"
            for name in own
            for figure in _DEVIATIONS
        ]
        joint = run.metrics.get("paths", {}).get(method, {}).get("joint_score") or {}
        score = "–" if joint.get("value") is None else f"{joint['value']:+.3g}".replace("-", "−", 1)
        lines.append((short(method), score, *cells))
    head = [
        "search",
        "joint score",
        "removed: Δ prob. %",
        "removed: Δ top-1",
        "enhanced: Δ prob. %",
        "enhanced: Δ top-1",
    ]
    return table("The path removed and enhanced", head, lines, DEVIATIONS)


def _claims(run: Run) -> str:
    claims = run.metrics.get("claims", [])
    rows = [(escape(one["text"]), f"<b>{escape(one['verdict'])}</b>", escape(one["reason"])) for one in claims]
    return table("The paper's claims", ["claim", "verdict", "figure"], rows, CLAIMS) if rows else ""


def _value(row: Row, figure: str, unit: str = "%") -> str:
    return _shown(row[figure], figure, unit)


def _interval(row: Row, figure: str, unit: str = "%") -> str:
    return " … ".join(_shown(row.get(f"{figure}_{end}"), figure, unit) for end in ("low", "high"))


def _shown(value: float | None, figure: str, unit: str) -> str:
    if value is None:
        return "–"
    return format(value * 100, "+.2f" if figure in _DEVIATIONS else ".1f").replace("-", "−") + unit


def _time(about: Row) -> str:
    if "seconds" not in about:
        return "unknown"
    minutes, seconds = divmod(round(about["seconds"]), 60)
    hours, minutes = divmod(minutes, 60)
    spent = f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return f"{spent} on {about.get('processes', 1)} × {about.get('device', 'unknown')}"
