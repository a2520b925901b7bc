"""Accuracy, probability and their deviations under every condition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from nplight.errors import ArgumentError, check_choice
from nplight.metrics.conditions import Condition
from nplight.metrics.drawing import Drawing, draw_pruning
from nplight.metrics.figures import MEASURES, ConditionFigures
from nplight.metrics.replicates import Replicates, estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionResult:
    """What was measured under one condition. All figures are fractions.

    Each figure has a 95% interval, `…_low` to `…_high`, over images; NaN without replicates.

    Attributes:
        method: the search method whose paths were tested.
        condition: `clean`, `removed`, `enhanced` or `kept`.
        kept: neurons a layer, or `None`.
        pruned: share of the other neurons that is pruned, or `None`.
        images: how many images.
        accuracy: top-1, over images.
        accuracy_macro: top-1, mean over categories.
        probability: mean probability of the label.
        probability_deviation: mean of (edited - clean) / clean.
        accuracy_deviation: accuracy edited - accuracy clean.
    """

    method: str = "jas"
    condition: str
    kept: int | None
    pruned: float | None
    images: int
    accuracy: float
    accuracy_low: float = math.nan
    accuracy_high: float = math.nan
    accuracy_macro: float
    accuracy_macro_low: float = math.nan
    accuracy_macro_high: float = math.nan
    probability: float
    probability_low: float = math.nan
    probability_high: float = math.nan
    probability_deviation: float
    probability_deviation_low: float = math.nan
    probability_deviation_high: float = math.nan
    accuracy_deviation: float
    accuracy_deviation_low: float = math.nan
    accuracy_deviation_high: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a file; `None` for what is not defined."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


class ConditionMetrics(nn.Module):
    """The metrics of every condition, exact on any number of devices.

    Args:
        conditions: the conditions, `clean` among them.
        num_classes: number of categories.
        method: the search method whose paths are tested.
        replicates: of the bootstrap; 0 for no intervals.
        seed: of the bootstrap. Methods are compared by paired differences if it is the same for all.

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
        self.figures = ConditionFigures(len(self.conditions), clean, num_classes, replicates=replicates, seed=seed)

    def update(self, probabilities: Sequence[Tensor], labels: Tensor, keys: Tensor) -> None:
        """Add images.

        Args:
            probabilities: for every condition, in order, (images, categories).
            labels: (images,) int64.
            keys: (images,) int64, what names each image whatever its batch: its index, say.

        Raises:
            ArgumentError: not as many probabilities as conditions, or `keys` of another kind or number.
            NonFiniteError: a label's probability is NaN or infinite.
        """
        if len(probabilities) != len(self.conditions):
            raise ArgumentError(
                f"`probabilities` must be one tensor for each of the {len(self.conditions)} conditions, "
                f"got {len(probabilities)}"
            )
        self.figures.update(probabilities, labels, keys)

    def compute(self) -> list[ConditionResult]:
        """The results in the order of the conditions, over all devices; every device must call it."""
        return [self._result(condition) for condition in self.conditions]

    def plot(self, val: Sequence[ConditionResult] | None = None, ax: Axes | None = None) -> Drawing:
        """Draw top-1 accuracy (%) against neurons kept, a line each share pruned.

        Args:
            val: results, also of several methods, then a line each; `None`: what `compute` gives.
            ax: where; `None`: a new figure.
        """
        return draw_pruning([result.to_dict() for result in (self.compute() if val is None else val)], ax)

    def replicates(self, condition: Condition, measure: str) -> Replicates:
        """One figure with its replicates, for `estimate` or `difference`; every device must call it.

        Args:
            condition: one of the conditions.
            measure: one of `MEASURES`.

        Raises:
            ArgumentError: another measure.
        """
        check_choice("measure", measure, MEASURES)
        found: Replicates = self.figures.compute()
        return found.of((self.conditions.index(condition), MEASURES.index(measure)))

    def _result(self, condition: Condition) -> ConditionResult:
        numbers, images = {}, 0
        for measure in MEASURES:
            found = estimate(self.replicates(condition, measure))
            for suffix, value in (("", found.value), ("_low", found.low), ("_high", found.high)):
                # As many digits as a float32 holds, so that files read as measured.
                numbers[measure + suffix] = float(f"{value:.7g}")
            images = max(images, found.images)
        return ConditionResult(
            method=self.method,
            condition=condition.name,
            kept=condition.kept,
            pruned=condition.pruned,
            images=images,
            **numbers,
        )
