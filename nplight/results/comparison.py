"""Comparison of search methods, as in the paper (Wang et al., ICLR 2025, section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nplight.metrics import (
    JOINT_SCORE,
    Condition,
    ConditionMeasure,
    ConditionMetrics,
    ConditionResult,
    ControlMetrics,
    Estimate,
    Measure,
    Replicates,
    estimate,
)
from nplight.neurons import Tokens


@dataclass(frozen=True, slots=True)
class ComparedMeasure:
    """A measure by which methods are compared.

    Attributes:
        measure: the measure.
        condition: under which it is measured; `None` for the joint score.

    Examples:
        >>> from nplight.metrics import MEASURES, Condition
        >>> from nplight.results import ComparedMeasure
        >>> compared = ComparedMeasure(MEASURES["accuracy"], Condition("removed", kept=1))
        >>> compared.sign  # a path is the better, the more its removal lowers the accuracy
        -1
    """

    measure: Measure
    condition: Condition | None = None

    @property
    def label(self) -> str:
        """The name of its row, with the unit."""
        if self.condition is None:
            return self.measure.label
        tokens = ", at all tokens" if self.condition.tokens == "all" else ""
        if self.condition.name == "kept":
            return f"{self.condition.kept} kept, {self.condition.pruned:.0%} pruned{tokens}: {self.measure.label}"
        return f"{self.condition.name}{tokens}: {self.measure.label}"

    @property
    def sign(self) -> int:
        """1 if larger values are better, -1 if smaller values are: removing a path should lower the measure."""
        return -self.measure.sign if self.condition is not None and self.condition.factor == 0 else self.measure.sign


@dataclass(frozen=True, slots=True)
class MethodResult:
    """The measures of one method's paths.

    Attributes:
        method: its name.
        joint_score: of the paths on the images they were found with, with replicates; `None` if it is not known.
        metrics: the measures of every condition, of category paths on held-out images.
        own: those of images' own paths on the images that they were found with; `None` if they were not tested.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Condition, ConditionMetrics
        >>> from nplight.results import MethodResult
        >>> metrics = ConditionMetrics([Condition("clean"), Condition("removed", kept=1)], num_classes=2)
        >>> clean, removed = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.25, 0.75]])
        >>> metrics.update([clean, removed], torch.tensor([0]), torch.tensor([0]))
        >>> [result.condition for result in MethodResult("jas", None, metrics).results()]
        ['clean', 'removed']
    """

    method: str
    joint_score: Replicates | None
    metrics: ConditionMetrics | ControlMetrics
    own: ConditionMetrics | None = None

    def replicates(self, compared: ComparedMeasure) -> Replicates | None:
        """The replicates of a measure; `None` if it was not measured."""
        if compared.condition is None:
            return self.joint_score
        metrics = self.own if compared.condition.own else self.metrics
        if metrics is None or compared.condition not in metrics.conditions:
            return None
        return metrics.replicates(compared.condition, compared.measure.name)

    def results(self) -> list[ConditionResult]:
        """The results of every condition."""
        return [*self.metrics.compute(), *([] if self.own is None else self.own.compute())]


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One measure of all methods.

    Attributes:
        compared: the measure.
        estimates: one per method, in the order of the comparison.

    Examples:
        >>> from nplight.metrics import MEASURES, Condition, Estimate
        >>> from nplight.results import ComparedMeasure, ComparisonRow
        >>> compared = ComparedMeasure(MEASURES["accuracy"], Condition("removed", kept=1))
        >>> row = ComparisonRow(compared, (Estimate(0.9, 0.88, 0.92, 500), Estimate(0.97, 0.95, 0.98, 500)))
        >>> row.texts, row.best  # removal should lower the accuracy
        (['90.0', '97.0'], [True, False])
    """

    compared: ComparedMeasure
    estimates: tuple[Estimate, ...]

    @property
    def texts(self) -> list[str]:
        """The formatted values."""
        return [self.compared.measure.text(estimate.value) for estimate in self.estimates]

    @property
    def best(self) -> list[bool]:
        """Which methods are best by their formatted values; none if all are equal."""
        values = [estimate.value for estimate in self.estimates if estimate.value == estimate.value]
        if not values:
            return [False] * len(self.estimates)
        top = self.compared.measure.text(max(values, key=lambda value: self.compared.sign * value))
        is_best = [text == top for text in self.texts]
        return is_best if not all(is_best) or len(is_best) == 1 else [False] * len(is_best)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Measures x methods.

    Attributes:
        methods: the columns.
        rows: one per measure.

    Examples:
        >>> from nplight.metrics import MEASURES, Condition, Estimate
        >>> from nplight.results import ComparedMeasure, Comparison, ComparisonRow
        >>> compared = ComparedMeasure(MEASURES["accuracy"], Condition("removed", kept=1))
        >>> row = ComparisonRow(compared, (Estimate(0.9, 0.88, 0.92, 500), Estimate(0.97, 0.95, 0.98, 500)))
        >>> comparison = Comparison(("jas", "random"), (row,))
        >>> [dict(zip(comparison.methods, row.texts)) for row in comparison.under("removed")]
        [{'jas': '90.0', 'random': '97.0'}]
    """

    methods: tuple[str, ...]
    rows: tuple[ComparisonRow, ...]

    def under(self, *conditions: str | None, tokens: Tokens | None = None) -> list[ComparisonRow]:
        """The rows of the named conditions.

        Args:
            *conditions: names; `None` stands for the joint score.
            tokens: the edited tokens; `None`: the main ones, which come first.
        """
        edited = [row.compared.condition.tokens for row in self.rows if row.compared.condition is not None]
        wanted = tokens or (edited[0] if edited else None)
        return [
            row
            for row in self.rows
            if (row.compared.condition and row.compared.condition.name) in conditions
            and (row.compared.condition is None or row.compared.condition.tokens == wanted)
        ]


def compare(results: Sequence[MethodResult]) -> Comparison:
    """Compare methods.

    Args:
        results: one per method, all measured under the same conditions.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Condition, ConditionMetrics
        >>> from nplight.results import MethodResult, compare
        >>> conditions = [Condition("clean"), Condition("removed", kept=1)]
        >>> jas, random = (ConditionMetrics(conditions, num_classes=2) for _ in range(2))
        >>> clean, lower = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.25, 0.75]])
        >>> jas.update([clean, lower], labels=torch.tensor([0]), keys=torch.tensor([0]))
        >>> random.update([clean, clean], labels=torch.tensor([0]), keys=torch.tensor([0]))
        >>> comparison = compare([MethodResult("jas", None, jas), MethodResult("random", None, random)])
        >>> for row in comparison.under("removed"):
        ...     print(row.compared.label, row.texts)
        ...
        removed: Δ probability, % ['-66.67', '+0.00']
        removed: Δ top-1, points ['-100.00', '+0.00']
    """
    return Comparison(
        methods=tuple(result.method for result in results),
        rows=tuple(
            ComparisonRow(compared, tuple(_estimate(result.replicates(compared)) for result in results))
            for compared in _compared_measures(_compared_conditions(results), results[0].metrics.measured)
        ),
    )


def _compared_conditions(results: Sequence[MethodResult]) -> list[Condition]:
    """Those that edit all layers, by no other factors than 0 and 2, and images' own paths if they were tested."""
    own = next((result.own.conditions for result in results if result.own is not None), ())
    conditions = [*results[0].metrics.conditions, *own]
    return [condition for condition in conditions if condition.layers is None and condition.name != "scaled"]


def _compared_measures(
    conditions: Sequence[Condition], measures: Mapping[str, ConditionMeasure]
) -> list[ComparedMeasure]:
    """The joint score, then the measures of removed and enhanced paths, of images' own paths, and of kept paths."""
    return [
        ComparedMeasure(JOINT_SCORE),
        *(
            ComparedMeasure(measure, condition)
            for names in (("removed", "enhanced"), ("own removed", "own enhanced"), ("kept",))
            for measure in measures.values()
            for condition in conditions
            if condition.name in names and condition.name.removeprefix("own ") in measure.compared
        ),
    ]


def _estimate(replicates: Replicates | None) -> Estimate:
    return Estimate(float("nan"), float("nan"), float("nan"), 0) if replicates is None else estimate(replicates)
