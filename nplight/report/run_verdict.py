"""The sentence of a run, from its `metrics.json`: what the removal of the paths does, beside random neurons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nplight.metrics import MEASURES, Estimate
from nplight.report.run_data import Run
from nplight.results import ControlledTest, verdict

_MEASURE = MEASURES["probability_deviation"]
_CONTROL = "random"


def run_verdict(run: Run) -> str:
    """What the removal of the category paths does, with intervals and the control; empty without both."""
    tests = removal_tests(run)
    return verdict(tests).replace("-", "−") if tests else ""


def removal_tests(run: Run) -> list[ControlledTest]:
    """Per search, the removal of its category paths beside that of as many random neurons at the main tokens."""
    rows = [row for row in run.metrics.get("conditions", ()) if row["condition"] == "removed" and _main(row)]
    tokens = next((row.get("tokens") for row in rows), None)
    by_method = {row["method"]: row for row in reversed(rows) if row.get("tokens") == tokens}
    tests = []
    for search in run.methods:
        path = by_method.get(search)
        control = by_method.get(_CONTROL, by_method.get(f"{_CONTROL} of {search}"))
        if path is None or control is None or search == _CONTROL:
            continue
        difference = _estimate(path, f"{_MEASURE.name}_vs_{_CONTROL}")
        if not math.isnan(difference.value):
            tests.append(
                ControlledTest(
                    search=search,
                    control=_CONTROL,
                    condition="removed",
                    measure=_MEASURE,
                    path=_estimate(path, _MEASURE.name),
                    floor=_estimate(control, _MEASURE.name),
                    difference=difference,
                )
            )
    return tests


def _main(row: Mapping[str, Any]) -> bool:
    return row.get("layers") is None and row.get("scale") is None


def _estimate(row: Mapping[str, Any], name: str) -> Estimate:
    value, low, high = (_number(row.get(name + end)) for end in ("", "_low", "_high"))
    return Estimate(value, low, high, int(row.get("images") or 0))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
