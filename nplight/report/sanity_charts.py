"""Charts of the stability of paths and of their sanity checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nplight.report.charts import Axis, Chart, Line, Panel, Style
from nplight.report.effect_charts import REFERENCE, Styles, line_from_estimates
from nplight.report.run_data import Run

_SHARE = "share of the path, %"


def stability_chart(run: Run, styles: Styles) -> Chart | None:
    """Surviving share of the paths (%) against severity, one panel per perturbation; `None` if not measured.

    Dotted lines are the share of two images of the same category, the grey line that of random paths.
    """
    stability = run.stability
    if not stability:
        return None
    severities = stability["severities"]
    axis = Axis("severity", {float(severity): str(severity) for severity in severities}, noun="severity {}")
    panels = []
    for name in stability["levels"]:
        lines, floors = [], []
        for search, values in stability["searches"].items():
            lines.append(line_from_estimates(search, styles, severities, values["kept"][name], 100))
            style = styles.get(search, REFERENCE)
            floors.append(_level(f"{search}: same category", values["same_category"]["value"], severities, style))
        floors.append(_level("random paths", stability["random"], severities))
        panels.append(Panel(name, [*lines, *floors], axis, _SHARE, "%", ".1f"))
    caption = " ".join(_survives(search, values) for search, values in stability["searches"].items())
    return Chart("Stability", panels, min(2, len(panels)), caption, same_height=True)


def sanity_chart(run: Run, styles: Styles) -> Chart | None:
    """Share of the paths (%) that stays while weights are randomised from the head down; `None` if not measured."""
    sanity = run.sanity
    if not sanity:
        return None
    steps = range(len(sanity["steps"]))
    axis = Axis(
        "randomised from the head down to", {float(step): sanity["steps"][step] for step in steps}, noun="down to {}"
    )
    searches = sanity["searches"]
    lines = [line_from_estimates(name, styles, steps, values["randomised"], 100) for name, values in searches.items()]
    floor = _level("random paths", sanity["random"], steps)
    caption = " ".join(_stays(name, values["randomised"][-1], sanity["random"]) for name, values in searches.items())
    return Chart("Randomised weights", [Panel("", [*lines, floor], axis, _SHARE, "%", ".1f")], 1, caption)


def _survives(search: str, values: Mapping[str, Any]) -> str:
    """What is left of a search's paths over all perturbations, against two images of a category."""
    overall, lead = values["overall"], values["over_same_category"]
    if overall["value"] is None:
        return ""
    start = f"Of the paths of {search} {overall['value']:.0%} survives"
    if lead["value"] is None or lead["low"] is None:
        return f"{start}."
    interval = f"[{100 * lead['low']:.1f}, {100 * lead['high']:.1f}]"
    if lead["low"] > 0:
        return f"{start}, {100 * lead['value']:.1f} points {interval} more than two images of a category share."
    if lead["high"] < 0:
        return f"{start}, {-100 * lead['value']:.1f} points less than two images of a category share."
    points = f"{100 * lead['value']:+.1f} points {interval}"
    return f"{start}, not shown to be more than two images of a category share ({points})."


def _stays(search: str, last: Mapping[str, Any], random: float) -> str:
    """What is left of a search's paths when every weight is random."""
    if last["value"] is None:
        return ""
    above = last["low"] is not None and last["low"] > random
    verdict = f"more than the {random:.1%} of random paths" if above else f"random paths: {random:.1%}"
    return f"With all weights randomised {last['value']:.0%} of the path of {search} stays ({verdict})."


def _level(name: str, share: float | None, positions: Sequence[float], style: Style = REFERENCE) -> Line:
    value = float("nan") if share is None else round(100 * share, 3)
    return Line(name, style, [min(positions), max(positions)], [value, value], reference=True)
