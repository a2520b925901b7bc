"""What an evaluation measured, before it is put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nplight.metrics import ConditionMeasure, ConditionMetrics, ControlMetrics


@dataclass(frozen=True, slots=True)
class MeasuredPaths:
    """The metrics of searches and controls, computed over all processes.

    Attributes:
        searches: search -> its metrics, of category paths on held-out images.
        controls: control -> search -> the metrics of the control of this search.
        own: search -> its metrics, of images' own paths on the images that they were found with.
        own_control: those of random paths of the images' own.
        names: all searches of the run; a search with the name of a control has the control's figures.

    Examples:
        >>> from nplight.metrics import Condition, ConditionMetrics
        >>> from nplight.results import MeasuredPaths
        >>> metrics = ConditionMetrics([Condition("clean"), Condition("removed", kept=1)], num_classes=2)
        >>> list(MeasuredPaths({"jas": metrics}).metrics)
        ['jas']
    """

    searches: Mapping[str, ConditionMetrics]
    controls: Mapping[str, Mapping[str, ControlMetrics]] = field(default_factory=dict)
    own: Mapping[str, ConditionMetrics] = field(default_factory=dict)
    own_control: ConditionMetrics | None = None
    names: tuple[str, ...] = ()

    @property
    def distinct_controls(self) -> dict[str, ControlMetrics]:
        """The name of each control's results -> its metrics, each once."""
        return {metrics.method: metrics for of_searches in self.controls.values() for metrics in of_searches.values()}

    @property
    def metrics(self) -> dict[str, ConditionMetrics | ControlMetrics]:
        """The metrics of searches and then of controls, by the name of their results."""
        return {**self.searches, **self.distinct_controls}

    @property
    def measured(self) -> dict[str, ConditionMeasure]:
        """The measures of the run by name; empty without metrics."""
        return next((metrics.measured for metrics in self.metrics.values()), {})

    def own_of(self, method: str) -> ConditionMetrics | None:
        """The metrics of images' own paths of a search, or of the control; `None` if they were not tested."""
        if self.own_control is not None and method == self.own_control.method:
            return self.own_control
        return self.own.get(method)
