"""The table of measures: how each is computed, named, formatted and compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from nplight.metrics.deviation import probability_deviation
from nplight.metrics.intervals import Interval
from nplight.metrics.predicted_batch import PredictedBatch
from nplight.metrics.replicates import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """The name, format and direction of a measured number.

    Attributes:
        name: its key in `ConditionResult.values` and its column in `metrics.json` and `metrics.csv`.
        title: its name for people.
        unit: of the formatted number: `%` and `points` are hundredths of the value; empty for none.
        sign: 1 if larger values are better, -1 if smaller values are.
        format: of the number, a format specification.
        heading: of its column in a narrow table; empty: the title.
        description: one line without a full stop.

    Examples:
        >>> from nplight.metrics import MEASURES
        >>> measure = MEASURES["accuracy"]
        >>> measure.label, measure.text(0.986)
        ('top-1, %', '98.6')
    """

    name: str
    title: str
    unit: str = ""
    sign: Literal[1, -1] = 1
    format: str = ".3g"
    heading: str = ""
    description: str = ""

    @property
    def factor(self) -> int:
        """The factor from a value to its unit."""
        return 100 if self.unit in ("%", "points") else 1

    @property
    def label(self) -> str:
        """Title and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    @property
    def column(self) -> str:
        """The heading of its column in a narrow table."""
        return self.heading or self.title

    def text(self, value: float | None) -> str:
        """A value in the measure's unit, without the unit; a dash if undefined."""
        return "–" if value is None or value != value else format(value * self.factor, self.format)

    def interval_text(self, estimate: Estimate) -> str:
        """The interval of a value as " [low, high]"; empty without an interval."""
        return "" if estimate.low != estimate.low else f" [{self.text(estimate.low)}, {self.text(estimate.high)}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionMeasure(Measure):
    """A measure of a condition: the mean of a value per image.

    Attributes:
        per_image: the values of a batch, (images, conditions) float64; NaN if an image has no value.
        over: `images`: the mean over images; `categories`: the mean over categories of each category's mean, for
            values without NaN.
        interval: what an image's value is, which determines the interval; a row of `INTERVALS`.
        change: whether it is a change relative to the unedited model, which has no value of its own.
        normalised: whether its normalised faithfulness is computed.
        compared: names of the conditions under which methods are compared by this measure.

    Examples:
        >>> from nplight.metrics import MEASURES
        >>> list(MEASURES)
        ['accuracy', 'accuracy_macro', 'probability', 'probability_deviation', 'accuracy_deviation']
    """

    per_image: Callable[[PredictedBatch], Tensor]
    over: Literal["images", "categories"] = "images"
    interval: Interval = "mean"
    change: bool = False
    normalised: bool = False
    compared: tuple[str, ...] = ("removed", "enhanced", "kept")


# Named functions instead of lambdas, so that a metric can be pickled.


def _correct(batch: PredictedBatch) -> Tensor:
    return batch.correct


def _correct_deviation(batch: PredictedBatch) -> Tensor:
    return batch.correct - batch.correct[:, batch.clean, None]


def _probability(batch: PredictedBatch) -> Tensor:
    return batch.probability


def _probability_deviation(batch: PredictedBatch) -> Tensor:
    return probability_deviation(batch.probability[:, batch.clean, None], batch.probability)


MEASURES: dict[str, ConditionMeasure] = {
    measure.name: measure
    for measure in (
        ConditionMeasure(
            name="accuracy",
            title="top-1",
            unit="%",
            format=".1f",
            heading="top-1 %",
            description="accuracy over images",
            per_image=_correct,
            interval="share",
            normalised=True,
            compared=("kept",),
        ),
        ConditionMeasure(
            name="accuracy_macro",
            title="macro top-1",
            unit="%",
            format=".1f",
            heading="macro %",
            description="mean over categories",
            per_image=_correct,
            over="categories",
            interval="share",
            compared=(),
        ),
        ConditionMeasure(
            name="probability",
            title="probability",
            unit="%",
            format=".1f",
            heading="prob. %",
            description="mean probability of the label",
            per_image=_probability,
            interval="fraction",
            normalised=True,
            compared=(),
        ),
        ConditionMeasure(
            name="probability_deviation",
            title="Δ probability",
            unit="%",
            format="+.2f",
            heading="Δ prob. %",
            description="mean relative change of the label's probability",
            per_image=_probability_deviation,
            change=True,
            compared=("removed", "enhanced"),
        ),
        ConditionMeasure(
            name="accuracy_deviation",
            title="Δ top-1",
            unit="points",
            format="+.2f",
            heading="Δ top-1",
            description="change of top-1 accuracy, in percentage points",
            per_image=_correct_deviation,
            interval="change",
            change=True,
            compared=("removed", "enhanced"),
        ),
    )
}
"""Name -> measure of every run; files, tables, figures and the page show these measures in this order.

Runs with other objectives than the probability have further measures (`measures_of`).
"""

JOINT_SCORE = Measure(name="joint_score", title="joint score (JAS)", format="+.3g", heading="JAS")
"""The mean joint attribution score of the image paths, on the images they were found with."""
