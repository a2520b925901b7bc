"""Charts of the effect of paths: kept, scaled, and edited to a depth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nplight.metrics import MEASURES, Measure, measures_among
from nplight.metrics.drawing import pruning_rows
from nplight.report.chart_captions import left_out, seen, separates
from nplight.report.charts import Axis, Chart, Line, Panel, Style
from nplight.report.run_data import Run
from nplight.report.theme import NEUTRAL, enumerated

Row = Mapping[str, Any]
Styles = Mapping[str, Style]

REFERENCE = Style(NEUTRAL, "dot", "circle")
"""The look of a level to compare with."""


class Position(NamedTuple):
    """Where a row is on an axis, and the label there."""

    x: float
    label: str


def normalised_chart(run: Run, styles: Styles) -> Chart | None:
    """Normalised faithfulness against neurons kept per layer, a panel per measure and tokens; `None` without curves."""
    curves = run.metrics.get("normalised_faithfulness", {})
    kinds = dict.fromkeys(
        (curve["measure"], curve["tokens"]) for several in curves.values() for curve in several if curve["values"]
    )
    panels = []
    for measure, tokens in kinds:
        drawn = [
            (name, curve)
            for name, several in curves.items()
            for curve in several
            if curve["values"] and (curve["measure"], curve["tokens"]) == (measure, tokens)
        ]
        lines = [_line(name, styles, [size + 1 for size in curve["sizes"]], curve["values"]) for name, curve in drawn]
        labels = {float(size + 1): str(size) for _, curve in drawn for size in curve["sizes"]}
        axis = Axis("neurons kept per layer", labels, log=True, noun="{} kept")
        panels.append(Panel(f"{_title(measure)}, {tokens} tokens", lines, axis, "normalised"))
    return _chart("Normalised faithfulness", panels, columns=2)


def pruning_chart(run: Run, styles: Styles) -> Chart | None:
    """Measures against neurons kept per layer, a panel per measure and pruned share of the others.

    The measures are those that compare methods with a path kept: top-1 accuracy (%), and the run's other objectives.
    `None` without one.
    """
    results = pruning_rows(run.metrics.get("conditions", ()))
    measures = [
        measure
        for measure in run.measures.values()
        if "kept" in measure.compared and any(measure.name in result for result in results)
    ]
    panels = []
    for measure in measures:
        for fraction in sorted({result["pruned"] for result in results}):
            pruned = [result for result in results if result["pruned"] == fraction]
            title = f"{fraction:.0%} pruned" if len(measures) == 1 else f"{measure.title}, {fraction:.0%} pruned"
            positions = {id(row): Position(row["kept"], str(row["kept"])) for row in pruned}
            axis = Axis("neurons kept per layer", _labels(positions.values()), log=True, noun="{} kept")
            lines = _lines(pruned, measure, positions, styles)
            clean = _clean(run, measure, list(axis.labels))
            panels.append(_panel(title, [*lines, *clean], axis, measure))
    return _chart(pruning_title(run), panels, columns=2)


def pruning_title(run: Run) -> str:
    """The title of the chart of measures against neurons kept."""
    return f"{enumerated(['Accuracy', *(row.title for row in run.objectives)])} against neurons kept"


def faithfulness_chart(run: Run, styles: Styles) -> Chart | None:
    """Top-1 accuracy (%) against neurons kept per layer, all others pruned, from few to all; `None` without curves."""
    curves = run.metrics.get("faithfulness") or {}
    if not curves:
        return None
    measure = MEASURES["accuracy"]
    lines = [_line(name, styles, curve["sizes"], curve["accuracy"], measure.factor) for name, curve in curves.items()]
    labels = {float(size): str(size) for curve in curves.values() for size in curve["sizes"]}
    panel = _panel("", lines, Axis("neurons kept per layer", labels, log=True, noun="{} kept"), measure)
    return _chart("Faithfulness", [panel])


def dose_chart(run: Run, styles: Styles) -> Chart | None:
    """The change of the label's probability (%) against what multiplies the path; `None` without other scales."""
    rows = [row for row in _of_main_tokens(run) if row.get("layers") is None]
    factors = {"removed": 0.0, "enhanced": 2.0}
    rows = [row for row in rows if row["condition"] in (*factors, "scaled")]
    if not any(row["condition"] == "scaled" for row in rows):
        return None
    scales = {id(row): factors.get(row["condition"], row.get("scale")) for row in rows}
    positions = {row: Position(scale, f"{scale:g}") for row, scale in scales.items() if scale is not None}
    axis = Axis("factor on the path's neurons", {1.0: "1", **_labels(positions.values())}, noun="factor {}")
    measure = MEASURES["probability_deviation"]
    lines = [_through_clean(line) for line in _lines(rows, measure, positions, styles)]
    return _chart("Dose", [_panel("", [*lines, _level(0.0, list(axis.labels))], axis, measure)])


def depth_chart(run: Run, styles: Styles) -> Chart | None:
    """The path removed, and kept, in the first layers alone: the label's probability; `None` if not measured."""
    rows = [row for row in _of_main_tokens(run) if row["condition"] in ("removed", "kept") and row["kept"] == run.top_k]
    rows = [row for row in rows if row["condition"] == "removed" or row["pruned"] == 1]
    if not any(row.get("layers") for row in rows):
        return None
    depth, measure = len(run.widths), MEASURES["probability"]
    panels = []
    for condition, title in (("removed", "path removed"), ("kept", "path kept, all others pruned")):
        edited = [row for row in rows if row["condition"] == condition and measure.name in row]
        layers = {id(row): row.get("layers") or depth for row in edited}
        positions = {row: Position(count, str(count)) for row, count in layers.items()}
        axis = Axis("first layers edited", _labels(positions.values()), noun="{} layers")
        lines = _lines(edited, measure, positions, styles)
        panels.append(_panel(title, [*lines, *_clean(run, measure, list(axis.labels))], axis, measure))
    return _chart("Depth", [panel for panel in panels if panel.lines], columns=2)


def line_from_estimates(
    name: str, styles: Styles, x: Sequence[float], estimates: Sequence[Row], factor: float = 1
) -> Line:
    """A line through estimates with `value`, `low` and `high`; a value of `None` is drawn as a gap."""
    values = ([_scaled(estimate[end], factor) for estimate in estimates] for end in ("value", "low", "high"))
    y, low, high = values
    return Line(name, styles.get(name, REFERENCE), [float(position) for position in x], y, low, high)


_line = line_from_estimates


def _chart(title: str, panels: Sequence[Panel], columns: int = 1) -> Chart | None:
    """A chart of the panels that tell lines apart; of the last one if none does; `None` without any."""
    if not panels:
        return None
    telling = [panel for panel in panels if separates(panel)] or list(panels[-1:])
    others = [panel for panel in panels if panel not in telling]
    caption = " ".join([*map(seen, telling), left_out(others)]).strip()
    return Chart(title, telling, min(columns, len(telling)), caption)


def _panel(title: str, lines: Sequence[Line], axis: Axis, measure: Measure) -> Panel:
    unit = measure.unit if measure.unit in ("", "%") else f" {measure.unit}"
    return Panel(title, lines, axis, measure.label, unit, measure.format)


def _lines(rows: Sequence[Row], measure: Measure, positions: Mapping[int, Position], styles: Styles) -> list[Line]:
    """One line per search and control, through its rows by position."""
    lines = []
    for name in styles:
        own = sorted((positions[id(row)].x, number) for number, row in enumerate(rows) if row["method"] == name)
        ends = [[_scaled(rows[number].get(measure.name + end), measure.factor) for _, number in own] for end in _ENDS]
        if own:
            lines.append(Line(name, styles[name], [x for x, _ in own], ends[0], ends[1], ends[2]))
    return lines


_ENDS = ("", "_low", "_high")


def _through_clean(line: Line) -> Line:
    """The line with a change of 0 at a factor of 1, which edits nothing."""
    end = 0.0 if any(low == low for low in line.low) else math.nan
    points = {x: point for x, *point in zip(line.x, line.y, line.low, line.high)} | {1.0: [0.0, end, end]}
    y, low, high = zip(*(points[x] for x in sorted(points)))
    return Line(line.name, line.style, sorted(points), y, low, high)


def _clean(run: Run, measure: Measure, x: Sequence[float]) -> list[Line]:
    rows = [row for row in run.metrics["conditions"] if row["condition"] == "clean" and measure.name in row][:1]
    return [_level(_scaled(row[measure.name], measure.factor), x, "clean: nothing pruned") for row in rows]


def _level(value: float, x: Sequence[float], name: str = "clean") -> Line:
    return Line(name, REFERENCE, [min(x), max(x)], [value, value], reference=True)


def _of_main_tokens(run: Run) -> list[Row]:
    """The rows at the tokens of the first edit; files of older versions name no tokens."""
    rows: Sequence[Row] = run.metrics.get("conditions", ())
    main = next((row["tokens"] for row in rows if row.get("tokens") and row["method"]), None)
    return [row for row in rows if row.get("tokens") in (None, main)]


def _labels(positions: Iterable[Position]) -> dict[float, str]:
    return {float(position.x): position.label for position in positions}


def _scaled(value: float | None, factor: float) -> float:
    return math.nan if value is None else round(value * factor, 4)


def _title(measure: str) -> str:
    row = measures_among([measure]).get(measure)
    return measure if row is None else row.title
