"""Made-up results of methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nplight.metrics import (
    BootstrapMean,
    Condition,
    ConditionMetrics,
    ControlMetrics,
    all_conditions,
    depth_conditions,
    dose_conditions,
    extreme_conditions,
)
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


TESTED = (
    *all_conditions(1, (1, 4), (0.5, 1.0)),
    Condition("none"),
    *extreme_conditions(1, (1, 4), tokens="all"),
    *depth_conditions(1, 2, (0.5,)),
    *dose_conditions(1, (0.5,)),
)


def drawn_logits(condition: Condition, draw: torch.Generator) -> Tensor:
    """Of 40 images and five categories; those without a path are the same for every generator."""
    same = torch.Generator().manual_seed(0)
    if condition == Condition("clean"):
        return torch.rand(40, 5, generator=same) + 2 * torch.eye(5)[torch.arange(40) % 4]
    return torch.rand(40, 5, generator=same if condition.kept is None else draw)


def drawn_metrics(name: str, seed: int, objectives: Sequence[str] = ()) -> ConditionMetrics:
    """40 images of four of five categories, with drawn logits that alone differ between the methods."""
    draw = torch.Generator().manual_seed(seed)
    result = ConditionMetrics(TESTED, 5, method=name, replicates=20, objectives=objectives)
    logits = [drawn_logits(condition, draw) for condition in TESTED]
    result.update(logits, torch.arange(40) % 4, torch.arange(40), logits=True)
    return result


class DrawnForward:
    """Stands in for a `ConditionForward`: a path of size 1 and number d gives the logits of seed d."""

    def logits(self, conditions: Sequence[Condition], paths: Mapping[int, Tensor]) -> list[Tensor]:
        draw = torch.Generator().manual_seed(int(paths[1]))
        return [drawn_logits(condition, draw) for condition in conditions]


def drawn_control(name: str, seed: int, objectives: Sequence[str] = ()) -> ControlMetrics:
    """Two draws of a control on the images of `drawn_metrics`, one of each secondary condition."""
    result = ControlMetrics(TESTED, 5, method=name, draws=2, replicates=20, objectives=objectives)
    forward: Any = DrawnForward()
    keys = torch.arange(40)
    result.update(forward, lambda draw: {1: torch.tensor(seed + 100 * draw)}, keys % 4, keys)
    return result
