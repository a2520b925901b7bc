"""The measures of every condition as results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from nplight.errors import ArgumentError, check_choice
from nplight.metrics.condition_measures import CategoryMeans, ConditionMeasures, MeasuredConditions
from nplight.metrics.conditions import UNEDITED, Condition, ConditionName
from nplight.metrics.drawing import Drawing, draw_pruning
from nplight.metrics.measures import ConditionMeasure
from nplight.metrics.replicates import Estimate, Replicates, difference, estimate
from nplight.neurons import Tokens

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FIELDS = ("method", "condition", "kept", "pruned", "tokens", "layers", "scale", "images")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionResult:
    """The measures under one condition.

    Attributes:
        method: the search method whose paths were tested.
        condition: the name of a `Condition`.
        kept: neurons per layer of the path, or `None`.
        pruned: pruned share of the other neurons, or `None`.
        tokens: the edited tokens; `None` without an edit.
        layers: the first layers, which alone are edited; `None`: all.
        scale: factor of the path's neurons, or `None`.
        images: number of images.
        values: name of a measure -> its value with a 95% interval over images, NaN without replicates; shares are
            fractions.

    Examples:
        >>> from nplight.metrics import ConditionResult, Estimate
        >>> values = {"accuracy": Estimate(0.875, 0.5, 0.97, 8)}
        >>> result = ConditionResult(condition="removed", kept=1, pruned=None, tokens="path", images=8, values=values)
        >>> result.value("accuracy"), result.key.name
        (0.875, 'removed')
    """

    method: str = "jas"
    condition: ConditionName
    kept: int | None
    pruned: float | None
    tokens: Tokens | None = None
    layers: int | None = None
    scale: float | None = None
    images: int
    values: Mapping[str, Estimate]

    @property
    def key(self) -> Condition:
        """The condition."""
        return Condition(self.condition, self.kept, self.pruned, self.tokens or "path", self.layers, self.scale)

    def value(self, measure: str) -> float:
        """The value of a measure, without its interval."""
        return self.values[measure].value

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file: each measure as `NAME`, `NAME_low`, `NAME_high`; `None` if undefined."""
        return {
            **{name: getattr(self, name) for name in _FIELDS},
            **{
                name + suffix: None if value != value else value
                for name, estimate in self.values.items()
                for suffix, value in (("", estimate.value), ("_low", estimate.low), ("_high", estimate.high))
            },
        }


class ConditionMetrics(nn.Module):
    """The metrics of every condition, exact on any number of devices.

    Args:
        conditions: the conditions, `clean` among them.
        num_classes: number of categories.
        method: the search method whose paths are tested.
        replicates: of the bootstrap; 0 for no intervals.
        seed: of the bootstrap; with the same seed for all methods their differences are paired.
        draws: number of random draws of the method's paths, for a control; values are means over the draws, and the
            spread of the draws is in the intervals.
        objectives: of the searches of the run, each one of `OBJECTIVES`; those other than `probability` add measures,
            which are computed from logits.

    Raises:
        ArgumentError: `clean` is missing, `draws` is below 1, or there is no such objective.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Condition, ConditionMetrics
        >>> conditions = [Condition("clean"), Condition("removed", kept=1)]
        >>> metrics = ConditionMetrics(conditions, num_classes=2)
        >>> clean, removed = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.25, 0.75]])
        >>> metrics.update([clean, removed], labels=torch.tensor([0]), keys=torch.tensor([0]))
        >>> [(result.condition, result.value("accuracy"), result.value("probability")) for result in metrics.compute()]
        [('clean', 1.0, 0.75), ('removed', 0.0, 0.25)]
    """

    def __init__(
        self,
        conditions: Sequence[Condition],
        num_classes: int,
        *,
        method: str = "jas",
        replicates: int = 1000,
        seed: int = 0,
        draws: int = 1,
        objectives: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.conditions = tuple(conditions)
        self.method = method
        unedited = [number for number, condition in enumerate(self.conditions) if condition.name in UNEDITED]
        if len(unedited) != 1:
            raise ArgumentError(
                "`conditions` must hold Condition('clean') to compare with, or Condition('own clean'), "
                f"got {self.conditions}"
            )
        self.measures = ConditionMeasures(
            len(self.conditions),
            unedited[0],
            num_classes,
            draws=draws,
            objectives=objectives,
            replicates=replicates,
            seed=seed,
        )

    @property
    def measured(self) -> dict[str, ConditionMeasure]:
        """The measures by name: those of `MEASURES`, then those of the objectives."""
        return {row.name: row for row in self.measures.measures}

    def update(self, probabilities: Sequence[Tensor], labels: Tensor, keys: Tensor, *, logits: bool = False) -> None:
        """Add images.

        Args:
            probabilities: per condition, in order, (images, categories).
            labels: (images,) int64.
            keys: (images,) int64, identifies each image independently of its batch, e.g. its index.
            logits: whether `probabilities` are logits, from which the measures of objectives are computed.

        Raises:
            ArgumentError: `probabilities` does not match the conditions, or has to be logits and is not, or `keys` has
                another dtype or length.
            NonFiniteError: a label's probability, or another objective, is NaN or infinite.
        """
        self.update_draws([probabilities], labels, keys, logits=logits)

    def update_draws(
        self, per_draw: Iterable[Sequence[Tensor]], labels: Tensor, keys: Tensor, *, logits: bool = False
    ) -> None:
        """Add images under every random draw.

        Args:
            per_draw: for each draw, in the same order for every batch, the `probabilities` of `update`; a generator
                bounds memory to one draw.
            labels: (images,) int64.
            keys: (images,) int64, as for `update`.
            logits: as for `update`.

        Raises:
            ArgumentError: another number of draws than `draws`, or as `update`.
            NonFiniteError: as `update`.
        """
        self.measures.update(map(self._checked, per_draw), labels, keys, logits=logits)

    def compute(self) -> list[ConditionResult]:
        """The results in the order of the conditions, over all devices; all devices must call it."""
        return [self._result(condition) for condition in self.conditions]

    def plot(
        self, val: Sequence[ConditionResult] | None = None, ax: Axes | None = None, *, measure: str = "accuracy"
    ) -> Drawing:
        """Plot a measure against neurons kept, one line per pruned share.

        Args:
            val: results; with several methods, one line per method; `None`: the result of `compute`.
            ax: the axes; `None`: a new figure.
            measure: one of `measured`.

        Raises:
            ArgumentError: unknown measure.
        """
        row, _ = self._row(measure)
        results = self.compute() if val is None else val
        return draw_pruning([result.to_dict() for result in results], ax, row)

    def replicates(self, condition: Condition, measure: str) -> Replicates:
        """One measure with its replicates, for `estimate` or `difference`; all devices must call it.

        Args:
            condition: one of the conditions.
            measure: one of `measured`.

        Raises:
            ArgumentError: unknown measure.
        """
        row, number = self._row(measure)
        computed: MeasuredConditions = self.measures.compute()
        at = self.conditions.index(condition)
        replicates = computed.replicates.of((at, number))
        # By definition nothing changes without an edit.
        interval = "fixed" if row.change and at == self.measures.clean else row.interval
        # Elsewhere the variance of the replicates has no rounding of sums of squares.
        known = replicates.variance if interval in ("share", "change") else None
        return replicates._replace(variance=known, interval=interval)

    def estimate(self, condition: Condition, measure: str, *, level: float = 0.95) -> Estimate:
        """One measure with its interval; all devices must call it.

        The kind of interval is the `interval` of the measure's row. It is over images and random draws, for the paths
        that were found: how they depend on the images they were found with is not in it (`CategoryPathStability`).

        Args:
            condition: one of the conditions.
            measure: one of `measured`.
            level: of confidence.

        Raises:
            ArgumentError: unknown measure.
        """
        return estimate(self.replicates(condition, measure), level=level)

    def difference(
        self, other: ConditionMetrics, condition: Condition, measure: str, *, level: float = 0.95
    ) -> Estimate:
        """This method minus another, e.g. a control, paired by image; all devices must call it.

        Args:
            other: measured on the same images with the same `replicates` and `seed`.
            condition: a condition of both.
            measure: one of `measured`.
            level: of confidence.

        Raises:
            ArgumentError: unknown measure, or the numbers of replicates differ.
        """
        return difference(self.replicates(condition, measure), other.replicates(condition, measure), level=level)

    def by_category(self, measure: str) -> CategoryMeans:
        """The mean of each category under each condition, without intervals; all devices must call it.

        Args:
            measure: one of `measured`.

        Returns:
            `values` and `images`, (conditions, categories) each.

        Raises:
            ArgumentError: unknown measure.
        """
        _, number = self._row(measure)
        computed: MeasuredConditions = self.measures.compute()
        return CategoryMeans(computed.categories.values[:, number], computed.categories.images[:, number])

    def _row(self, measure: str) -> tuple[ConditionMeasure, int]:
        names = [row.name for row in self.measures.measures]
        check_choice("measure", measure, names)
        number = names.index(measure)
        return self.measures.measures[number], number

    def _checked(self, probabilities: Sequence[Tensor]) -> Sequence[Tensor]:
        if len(probabilities) != len(self.conditions):
            raise ArgumentError(
                f"`probabilities` must be one tensor for each of the {len(self.conditions)} conditions, "
                f"got {len(probabilities)}"
            )
        return probabilities

    def _result(self, condition: Condition) -> ConditionResult:
        values = {measure.name: self.estimate(condition, measure.name).rounded() for measure in self.measures.measures}
        images = self.measures.compute().categories.images[self.conditions.index(condition)]
        return ConditionResult(
            method=self.method,
            condition=condition.name,
            kept=condition.kept,
            pruned=condition.pruned,
            tokens=None if condition.unedited else condition.tokens,
            layers=condition.layers,
            scale=condition.scale,
            images=int(images.sum(-1).max()),
            values=values,
        )
