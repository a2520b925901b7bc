"""The measures of every condition as results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from nplight.errors import ArgumentError, check_choice
from nplight.metrics.condition_measures import ConditionMeasures
from nplight.metrics.conditions import Condition
from nplight.metrics.drawing import Drawing, draw_pruning
from nplight.metrics.measures import MEASURES
from nplight.metrics.replicates import Estimate, Replicates, estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionResult:
    """The measures under one condition.

    Attributes:
        method: the search method whose paths were tested.
        condition: `clean`, `removed`, `enhanced` or `kept`.
        kept: neurons kept per layer, or `None`.
        pruned: pruned share of the other neurons, or `None`.
        images: number of images.
        values: name of a measure -> its value with a 95% interval over images, NaN without replicates; shares are
            fractions.
    """

    method: str = "jas"
    condition: str
    kept: int | None
    pruned: float | None
    images: int
    values: Mapping[str, Estimate]

    def value(self, measure: str) -> float:
        """The value of a measure, without its interval."""
        return self.values[measure].value

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file: each measure as `NAME`, `NAME_low`, `NAME_high`; `None` if undefined."""
        return {
            **{name: getattr(self, name) for name in ("method", "condition", "kept", "pruned", "images")},
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

    Raises:
        ArgumentError: `clean` is missing.
    """

    def __init__(
        self,
        conditions: Sequence[Condition],
        num_classes: int,
        *,
        method: str = "jas",
        replicates: int = 1000,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.conditions = tuple(conditions)
        self.method = method
        if Condition("clean") not in self.conditions:
            raise ArgumentError(f"`conditions` must hold Condition('clean') to compare with, got {self.conditions}")
        clean = self.conditions.index(Condition("clean"))
        self.measures = ConditionMeasures(len(self.conditions), clean, num_classes, replicates=replicates, seed=seed)

    def update(self, probabilities: Sequence[Tensor], labels: Tensor, keys: Tensor) -> None:
        """Add images.

        Args:
            probabilities: per condition, in order, (images, categories).
            labels: (images,) int64.
            keys: (images,) int64, identifies each image independently of its batch, e.g. its index.

        Raises:
            ArgumentError: `probabilities` does not match the conditions, or `keys` has another dtype or length.
            NonFiniteError: a label's probability is NaN or infinite.
        """
        if len(probabilities) != len(self.conditions):
            raise ArgumentError(
                f"`probabilities` must be one tensor for each of the {len(self.conditions)} conditions, "
                f"got {len(probabilities)}"
            )
        self.measures.update(probabilities, labels, keys)

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
            measure: one of `MEASURES`.

        Raises:
            ArgumentError: unknown measure.
        """
        check_choice("measure", measure, MEASURES)
        results = self.compute() if val is None else val
        return draw_pruning([result.to_dict() for result in results], ax, MEASURES[measure])

    def replicates(self, condition: Condition, measure: str) -> Replicates:
        """One measure with its replicates, for `estimate` or `difference`; all devices must call it.

        Args:
            condition: one of the conditions.
            measure: one of `MEASURES`.

        Raises:
            ArgumentError: unknown measure.
        """
        names = [row.name for row in self.measures.measures]
        check_choice("measure", measure, names)
        replicates: Replicates = self.measures.compute()
        return replicates.of((self.conditions.index(condition), names.index(measure)))

    def _result(self, condition: Condition) -> ConditionResult:
        values = {
            measure.name: estimate(self.replicates(condition, measure.name)).rounded()
            for measure in self.measures.measures
        }
        return ConditionResult(
            method=self.method,
            condition=condition.name,
            kept=condition.kept,
            pruned=condition.pruned,
            images=max(value.images for value in values.values()),
            values=values,
        )
