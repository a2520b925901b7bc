"""Made-up results of methods."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.metrics import BootstrapMean, Condition, ConditionMetrics, all_conditions
from nplight.results import MethodResult

CONDITIONS = (Condition("clean"), Condition("removed", 1), Condition("enhanced", 1), Condition("kept", 1, 1.0))
OWN = (Condition("own clean"), Condition("own removed", 1), Condition("own enhanced", 1))
IMAGES = 1000


def method(
    name: str,
    joint: float,
    removed: float,
    enhanced: float,
    lost: int,
    *,
    noise: float = 0.0,
    own: tuple[float, float] | None = None,
) -> MethodResult:
    """A method whose images all have these figures, give or take `noise`; `lost` of 1,000 are wrong when pruned."""
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    keys = torch.arange(IMAGES)
    metrics = ConditionMetrics(CONDITIONS, 2, method=name, replicates=300)

    def scores(probability: float, wrong: int = 0) -> Tensor:
        of_label = torch.full((IMAGES,), probability) + noise * torch.randn(IMAGES, generator=generator)
        of_label[:wrong] = 0.4
        return torch.stack([of_label, 1 - of_label], 1)

    labels = torch.zeros(IMAGES, dtype=torch.int64)
    metrics.update([scores(0.8), scores(removed), scores(enhanced), scores(0.7, lost)], labels, keys)
    score = BootstrapMean(replicates=300)
    score.update(joint + noise * torch.randn(IMAGES, generator=generator), keys)
    own_metrics = None
    if own is not None:
        own_metrics = ConditionMetrics(OWN, 2, method=name, replicates=300)
        own_metrics.update([scores(0.8), *map(scores, own)], labels, keys)
    return MethodResult(name, score.compute(), metrics, own_metrics)


def drawn_metrics(name: str, seed: int) -> ConditionMetrics:
    """40 images of four of five categories, with drawn probabilities that alone differ between the methods."""
    draw, clean = torch.Generator().manual_seed(seed), torch.rand(40, 5, generator=torch.Generator().manual_seed(0))
    result = ConditionMetrics(all_conditions(1, (1, 4), (0.5, 1.0)), 5, method=name, replicates=20)
    probabilities = [
        clean if condition == Condition("clean") else torch.rand(40, 5, generator=draw)
        for condition in result.conditions
    ]
    result.update(probabilities, torch.arange(40) % 4, torch.arange(40))
    return result
