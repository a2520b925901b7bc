"""Drawn probabilities of images under conditions."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.metrics import (
    ConditionMetrics,
    all_conditions,
)

LABELS = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2])


KEYS = torch.arange(100, 112)


CONDITIONS = all_conditions(1, (4,), (1.0,))


def drawn_probabilities(seed: int = 0) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(len(LABELS), 4, generator=draw).mul(2).softmax(1) for _ in CONDITIONS]


def measured(probabilities: list[Tensor], *parts: slice, **settings: object) -> ConditionMetrics:
    metrics = ConditionMetrics(CONDITIONS, 4, **settings)
    for part in parts or (slice(None),):
        metrics.update([one[part] for one in probabilities], LABELS[part], KEYS[part])
    return metrics
