"""Accuracy, probability and their deviations under every condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from nplight.metrics.conditions import Condition
from nplight.metrics.deviation import AccuracyDeviation, ProbabilityDeviation


@dataclass(frozen=True, slots=True)
class ConditionResult:
    """What was measured under one condition. All but `images` are fractions.

    Attributes:
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

    condition: str
    kept: int | None
    pruned: float | None
    images: int
    accuracy: float
    accuracy_macro: float
    probability: float
    probability_deviation: float
    accuracy_deviation: float

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a file."""
        return asdict(self)


class ConditionMetrics(nn.Module):
    """The metrics of every condition, exact on any number of devices.

    Args:
        conditions: the conditions, `clean` among them.
        num_classes: number of categories.
    """

    def __init__(self, conditions: Sequence[Condition], num_classes: int) -> None:
        super().__init__()
        self.conditions = tuple(conditions)
        self._metrics = nn.ModuleList(_collection(num_classes) for _ in conditions)

    def update(self, condition: Condition, clean: Tensor, edited: Tensor, labels: Tensor) -> None:
        """Add images: probabilities without and with the edit (images, categories), labels (images,)."""
        before, after = (values.gather(1, labels[:, None]).squeeze(1) for values in (clean, edited))
        metrics = self._metrics[self.conditions.index(condition)]
        assert isinstance(metrics, MetricCollection)
        metrics.update(preds=edited, clean_preds=clean, target=labels, value=after, clean=before, edited=after)

    def compute(self) -> list[ConditionResult]:
        """The results in the order of the conditions, over all devices; every device must call it."""
        results = []
        for condition, metrics in zip(self.conditions, self._metrics):
            assert isinstance(metrics, MetricCollection)
            values = metrics.compute()
            images = int(values.pop("images"))
            # As many digits as a float32 holds, so that files read as measured.
            numbers = {name: float(f"{value.item():.7g}") for name, value in values.items()}
            results.append(ConditionResult(condition.name, condition.kept, condition.pruned, images, **numbers))
        return results


class _Count(Metric):
    """How many images."""

    full_state_update = False
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, target: Tensor) -> None:
        self.count += len(target)

    def compute(self) -> Tensor:
        return self.count


class _MacroAccuracy(Metric):
    """Mean over the categories that have images of the accuracy of each.

    torchmetrics' own macro average also counts a category without images, as 0, as soon as an image is taken for it:
    then the conditions would not average over the same categories.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(num_classes, 2, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        right = (preds.argmax(1) == target).long()
        self.counts.index_add_(0, target, torch.stack([right, torch.ones_like(right)], 1))

    def compute(self) -> Tensor:
        right, images = self.counts[self.counts[:, 1] > 0].unbind(1)
        return (right / images).mean()


def _collection(num_classes: int) -> MetricCollection:
    return MetricCollection(
        {
            "images": _Count(),
            "accuracy": MulticlassAccuracy(num_classes, average="micro"),
            "accuracy_macro": _MacroAccuracy(num_classes),
            "probability": MeanMetric(),
            "probability_deviation": ProbabilityDeviation(),
            "accuracy_deviation": AccuracyDeviation(),
        },
        compute_groups=False,
    )
