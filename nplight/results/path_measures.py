"""The table of measures of a method's paths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nplight.metrics import Estimate, Measure, estimate
from nplight.results.findings import Findings


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMeasure(Measure):
    """A measure of a method's paths.

    Attributes:
        of: its value for a method of the findings; `None` if it was not measured.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Condition, ConditionMetrics
        >>> from nplight.results import PATH_MEASURES, MeasuredPaths, findings
        >>> conditions = [Condition("clean"), Condition("kept", 1, 1.0), Condition("kept", 2, 1.0)]
        >>> metrics = ConditionMetrics(conditions, num_classes=2)
        >>> clean, lower = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.25, 0.75]])
        >>> metrics.update([clean, lower, clean], labels=torch.tensor([0]), keys=torch.tensor([0]))
        >>> measured = MeasuredPaths({"jas": metrics})
        >>> result = findings(measured, None, top_k=1, widths=(4, 4), num_classes=2, replicates=10)
        >>> area = PATH_MEASURES[0]
        >>> area.title, area.text_of(result, "jas")  # 0, 1 and 1 with 1, 2 and all 4 neurons kept
        ('area under pruning', '0.750')
    """

    of: Callable[[Findings, str], Estimate | None]

    def estimate_of(self, findings: Findings, method: str) -> Estimate | None:
        """Its value for a method; `None` if it was not measured or is undefined."""
        value = self.of(findings, method)
        return None if value is None or value.value != value.value else value

    def text_of(self, findings: Findings, method: str, *, interval: bool = False) -> str:
        """Its formatted value for a method, with its interval if asked for; a dash without a value."""
        value = self.estimate_of(findings, method)
        return "–" if value is None else self.text(value.value) + (self.interval_text(value) if interval else "")


def _area(findings: Findings, method: str) -> Estimate | None:
    curve = findings.curves.get(method)
    return None if curve is None else curve.area


def _agreement(findings: Findings, method: str) -> Estimate | None:
    agreement = findings.agreements.get(method)
    return None if agreement is None else estimate(agreement.neurons)


def _within(findings: Findings, method: str) -> Estimate | None:
    statistics = findings.statistics.get(method)
    return None if statistics is None else statistics.distance.within


def _between(findings: Findings, method: str) -> Estimate | None:
    statistics = findings.statistics.get(method)
    return None if statistics is None else statistics.distance.between


PATH_MEASURES: tuple[PathMeasure, ...] = (
    PathMeasure(
        name="area",
        title="area under pruning",
        heading="area",
        format=".3f",
        description="mean top-1 over the logarithm of the neurons kept, all others pruned",
        of=_area,
    ),
    PathMeasure(
        name="ahead_of_random",
        title="over random",
        format=".3f",
        description="lead of the area over that of random neurons",
        of=lambda findings, method: findings.leads.get(method),
    ),
    PathMeasure(
        name="agreement",
        title="neurons as the first",
        heading="as first",
        format=".3f",
        description="share of neurons in common with the first method",
        of=_agreement,
    ),
    PathMeasure(
        name="within",
        title="distance within",
        heading="within",
        sign=-1,
        format=".3f",
        description="mean distance of two images' paths in a category, 1 - the share in common",
        of=_within,
    ),
    PathMeasure(
        name="between",
        title="distance between",
        heading="between",
        format=".3f",
        description="the same for images of two categories",
        of=_between,
    ),
)
"""The columns of the tables of paths, in this order."""
