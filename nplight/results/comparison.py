"""Several search methods side by side, as the paper compares them (Wang et al., ICLR 2025, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nplight.metrics import JOINT_SCORE, MEASURES, Condition, ConditionMetrics, Estimate, Measure, Replicates, estimate


@dataclass(frozen=True, slots=True)
class ComparedMeasure:
    """A measure by which methods are compared.

    Attributes:
        measure: the measure.
        condition: under which it is measured; `None` for the joint score.
    """

    measure: Measure
    condition: Condition | None = None

    @property
    def label(self) -> str:
        """For people, with its unit."""
        if self.condition is None:
            return self.measure.label
        if self.condition.name == "kept":
            return f"{self.condition.kept} kept, {self.condition.pruned:.0%} pruned: {self.measure.label}"
        return f"{self.condition.name}: {self.measure.label}"

    @property
    def sign(self) -> int:
        """1 where the larger value is the better one, -1 where the smaller is: a removed path should do harm."""
        return (
            -self.measure.sign if self.condition is not None and self.condition.name == "removed" else self.measure.sign
        )


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

    def replicates(self, compared: ComparedMeasure) -> Replicates | None:
        """One measure, or `None` where it was not measured."""
        if compared.condition is None:
            return self.joint_score
        return self.metrics.replicates(compared.condition, compared.measure.name)


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One measure of all methods.

    Attributes:
        compared: what is measured.
        estimates: one per method, in the order of the comparison.
    """

    compared: ComparedMeasure
    estimates: tuple[Estimate, ...]

    @property
    def texts(self) -> list[str]:
        """The values as written."""
        return [self.compared.measure.text(estimate.value) for estimate in self.estimates]

    @property
    def best(self) -> list[bool]:
        """Which methods are best, as their values are written; none where all are alike."""
        values = [estimate.value for estimate in self.estimates if estimate.value == estimate.value]
        if not values:
            return [False] * len(self.estimates)
        top = self.compared.measure.text(max(values, key=lambda value: self.compared.sign * value))
        best = [text == top for text in self.texts]
        return best if not all(best) or len(best) == 1 else [False] * len(best)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Measures x methods.

    Attributes:
        methods: the columns.
        rows: one per measure.
    """

    methods: tuple[str, ...]
    rows: tuple[ComparisonRow, ...]

    def under(self, *conditions: str | None) -> list[ComparisonRow]:
        """The rows of the named conditions; `None` names that of the joint score."""
        return [row for row in self.rows if (row.compared.condition and row.compared.condition.name) in conditions]


def compare(results: Sequence[MethodResult]) -> Comparison:
    """Put methods side by side.

    Args:
        results: one per method, all measured under the same conditions.
    """
    return Comparison(
        methods=tuple(result.method for result in results),
        rows=tuple(
            ComparisonRow(compared, tuple(_estimate(result.replicates(compared)) for result in results))
            for compared in _compared_measures(results[0].metrics.conditions)
        ),
    )


def _compared_measures(conditions: Sequence[Condition]) -> list[ComparedMeasure]:
    """The joint score, the measures under edited paths, those under kept ones."""
    return [
        ComparedMeasure(JOINT_SCORE),
        *(
            ComparedMeasure(measure, condition)
            for names in (("removed", "enhanced"), ("kept",))
            for measure in MEASURES.values()
            for condition in conditions
            if condition.name in names and condition.name in measure.compared
        ),
    ]


def _estimate(replicates: Replicates | None) -> Estimate:
    return Estimate(float("nan"), float("nan"), float("nan"), 0) if replicates is None else estimate(replicates)
