"""Several search methods side by side, as the paper compares them (Wang et al., ICLR 2025, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nplight.metrics import Condition, ConditionMetrics, Estimate, Replicates, estimate


@dataclass(frozen=True, slots=True)
class MethodResult:
    """What was measured of one method's paths.

    Attributes:
        method: its name.
        joint_score: of the paths on the images they were found with, with its replicates; `None` where the paths come
            from a run without them.
        metrics: every condition, computed.
    """

    method: str
    joint_score: Replicates | None
    metrics: ConditionMetrics

    def replicates(self, measure: Measure) -> Replicates | None:
        """One figure, or `None` where it was not measured."""
        if measure.condition is None:
            return self.joint_score
        return self.metrics.replicates(measure.condition, measure.figure)


@dataclass(frozen=True, slots=True)
class Measure:
    """A row of the comparison.

    Attributes:
        label: for people, with its unit.
        condition: under which it is measured; `None` for the joint score.
        figure: which of the condition's.
        sign: 1 where the larger value is the better one, -1 where the smaller is.
        factor: from the figure to its unit: 100 for percent and percentage points.
        form: how its value is written.
    """

    label: str
    condition: Condition | None
    figure: str
    sign: int
    factor: int
    form: str

    def text(self, value: float) -> str:
        """A value in the measure's unit; a dash where there is none."""
        return "–" if value != value else format(value * self.factor, self.form)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Measures x methods.

    Attributes:
        methods: the columns.
        measures: the rows.
        cells: one row a measure, in the order of the methods.
    """

    methods: tuple[str, ...]
    measures: tuple[Measure, ...]
    cells: tuple[tuple[Estimate, ...], ...]

    def best(self, row: int) -> list[bool]:
        """Which methods are best in a row, as its values are written; none where all are alike."""
        measure = self.measures[row]
        known = [cell.value for cell in self.cells[row] if cell.value == cell.value]
        if not known:
            return [False] * len(self.methods)
        top = measure.text(max(known, key=lambda value: measure.sign * value))
        best = [measure.text(cell.value) == top for cell in self.cells[row]]
        return best if not all(best) or len(best) == 1 else [False] * len(best)


def compare(results: Sequence[MethodResult]) -> Comparison:
    """Put methods side by side.

    Args:
        results: one a method, all measured under the same conditions.
    """
    measures = tuple(_measures(results[0].metrics.conditions))
    return Comparison(
        methods=tuple(result.method for result in results),
        measures=measures,
        cells=tuple(tuple(_cell(result.replicates(measure)) for result in results) for measure in measures),
    )


def joint_score_measure() -> Measure:
    """The mean joint attribution score of the paths."""
    return Measure("joint score (JAS)", None, "joint_score", 1, 1, "+.3g")


def deviation_measure(condition: Condition, figure: str) -> Measure:
    """A deviation after removal, where a larger loss is better, or after enhancement, where a larger gain is."""
    sign = -1 if condition.name == "removed" else 1
    unit = "probability, %" if figure == "probability_deviation" else "top-1, points"
    return Measure(f"{condition.name}: Δ {unit}", condition, figure, sign, 100, "+.2f")


def _measures(conditions: Sequence[Condition]) -> list[Measure]:
    edited = [condition for condition in conditions if condition.name in ("removed", "enhanced")]
    deviations = [
        deviation_measure(condition, figure)
        for figure in ("probability_deviation", "accuracy_deviation")
        for condition in edited
    ]
    kept = [
        Measure(f"{condition.kept} kept, {condition.pruned:.0%} pruned: top-1, %", condition, "accuracy", 1, 100, ".1f")
        for condition in conditions
        if condition.name == "kept"
    ]
    return [joint_score_measure(), *deviations, *kept]


def _cell(found: Replicates | None) -> Estimate:
    return Estimate(float("nan"), float("nan"), float("nan"), 0) if found is None else estimate(found)
