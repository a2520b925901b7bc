"""Paired differences of searches to their controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nplight.metrics import Condition, ConditionMetrics, ControlMetrics, Estimate, difference
from nplight.results.measured_paths import MeasuredPaths


@dataclass(frozen=True, slots=True)
class ControlDifference:
    """The measures of a search minus those of its control, under one condition.

    Attributes:
        method: the search.
        control: one of `CONTROLS`.
        condition: under which both were measured, on the same images.
        values: name of a measure -> the paired difference with its 95% interval, over images and draws.

    Examples:
        >>> from nplight.metrics import Condition, Estimate
        >>> from nplight.results import ControlDifference
        >>> values = {"probability": Estimate(-0.029, -0.048, -0.017, 100)}
        >>> ControlDifference("jas", "random", Condition("removed", kept=1), values).to_dict()
        {'probability_vs_random': -0.029, 'probability_vs_random_low': -0.048, 'probability_vs_random_high': -0.017}
    """

    method: str
    control: str
    condition: Condition
    values: Mapping[str, Estimate]

    def to_dict(self) -> dict[str, float | None]:
        """Plain values for a file: each measure as `NAME_vs_CONTROL` with `_low` and `_high`; `None` if undefined."""
        return {
            f"{name}_vs_{self.control}{suffix}": None if value != value else value
            for name, estimate in self.values.items()
            for suffix, value in (("", estimate.value), ("_low", estimate.low), ("_high", estimate.high))
        }


def control_differences(tested: MeasuredPaths) -> list[ControlDifference]:
    """The differences of every search to every control, under every condition with a path.

    Args:
        tested: what was measured, over all processes.
    """
    found = []
    for control, of_searches in tested.controls.items():
        for search, metrics in tested.searches.items():
            found += _under_conditions(control, metrics, of_searches[search])
    if tested.own_control is not None:
        for metrics in tested.own.values():
            if metrics.method != tested.own_control.method:
                found += _under_conditions(tested.own_control.method, metrics, tested.own_control)
    return found


def _under_conditions(
    control: str, metrics: ConditionMetrics, control_metrics: ConditionMetrics | ControlMetrics
) -> list[ControlDifference]:
    return [
        ControlDifference(
            metrics.method,
            control,
            condition,
            {
                name: difference(
                    metrics.replicates(condition, name), control_metrics.replicates(condition, name)
                ).rounded()
                for name in metrics.measured
            },
        )
        for condition in metrics.conditions
        if condition.kept is not None
    ]
