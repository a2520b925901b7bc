"""Sufficiency and comprehensiveness of paths (DeYoung et al. 2020, "ERASER").

A path is the rationale of a prediction: comprehensiveness is the probability that the label loses when the path is
removed, p(clean) − p(removed), and large for a path that the prediction needs; sufficiency is what it loses when only
the path is kept, p(clean) − p(kept alone), and small for a path that is enough. ERASER removes and keeps words of the
input; here neurons are removed and kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nplight.metrics import Condition, ConditionMetrics, ControlMetrics, Estimate, Replicates, difference
from nplight.neurons import Tokens
from nplight.results.measured_paths import MeasuredPaths

Metrics = ConditionMetrics | ControlMetrics


@dataclass(frozen=True, slots=True)
class Rationale:
    """Sufficiency or comprehensiveness of the category paths of a search, or of a control.

    Attributes:
        method: the search, or the name of the control's results.
        name: `sufficiency` or `comprehensiveness`.
        kept: neurons per layer of the path.
        tokens: the edited tokens.
        value: mean over held-out images, in probability.
        over_control: control -> value minus that of the control, paired; empty for a control.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Condition, ConditionMetrics
        >>> from nplight.results import MeasuredPaths, findings
        >>> metrics = ConditionMetrics([Condition("clean"), Condition("removed", kept=1)], num_classes=2)
        >>> clean, lower = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.25, 0.75]])
        >>> metrics.update([clean, lower], labels=torch.tensor([0]), keys=torch.tensor([0]))
        >>> measured = MeasuredPaths({"jas": metrics})
        >>> result = findings(measured, None, top_k=1, widths=(4, 4), num_classes=2, replicates=10)
        >>> [(rationale.name, rationale.value.value) for rationale in result.rationales]  # 0.75 - 0.25
        [('comprehensiveness', 0.5)]
    """

    method: str
    name: str
    kept: int
    tokens: Tokens
    value: Estimate
    over_control: Mapping[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file."""
        return {
            "method": self.method,
            "name": self.name,
            "kept": self.kept,
            "tokens": self.tokens,
            **self.value.to_dict(),
            "over_control": {control: value.to_dict() for control, value in self.over_control.items()},
        }


def rationales(tested: MeasuredPaths) -> list[Rationale]:
    """Sufficiency and comprehensiveness of every search and control, at all sizes and tokens that were tested.

    Args:
        tested: what was measured, over all processes.
    """
    return [
        Rationale(
            method,
            "comprehensiveness" if condition.name == "removed" else "sufficiency",
            condition.kept,
            condition.tokens,
            difference(_probability(metrics, metrics.conditions[0]), _probability(metrics, condition)).rounded(),
            {
                control: difference(
                    _probability(of_searches[method], condition), _probability(metrics, condition)
                ).rounded()
                for control, of_searches in tested.controls.items()
                if method in tested.searches
            },
        )
        for method, metrics in tested.metrics.items()
        for condition in metrics.conditions
        if condition.kept is not None and condition.main and condition.name in ("removed", "kept")
    ]


def _probability(metrics: Metrics, condition: Condition) -> Replicates:
    return metrics.replicates(condition, "probability")
