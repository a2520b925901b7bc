from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nplight.metrics import (
    Condition,
    ConditionMetrics,
    ControlMetrics,
    all_conditions,
    depth_conditions,
)

CONDITIONS = (*all_conditions(1, (1,), (0.5, 1.0)), *depth_conditions(1, 4, (0.5,)))
LABELS, KEYS = torch.arange(12) % 3, torch.arange(12)


class Drawn:
    """Stands in for a `ConditionForward`: the path of a draw is its number, and names the logits."""

    def __init__(self) -> None:
        self.asked: list[tuple[Condition, int]] = []

    def logits(self, conditions: tuple[Condition, ...], paths: dict[int, Tensor]) -> list[Tensor]:
        draw = int(paths[1])
        self.asked += [(condition, draw) for condition in conditions]
        return [drawn(condition, draw) for condition in conditions]


def drawn(condition: Condition, draw: int) -> Tensor:
    number = 0 if condition.unedited else 1 + CONDITIONS.index(condition) + 100 * draw
    return torch.rand(12, 3, generator=torch.Generator().manual_seed(number))


def measured(draws: int) -> tuple[ControlMetrics, Drawn]:
    metrics, forward = ControlMetrics(CONDITIONS, 3, method="random", draws=draws, replicates=20), Drawn()
    stand_in: Any = forward
    metrics.update(stand_in, lambda draw: {1: torch.tensor(draw)}, LABELS, KEYS)
    return metrics, forward


@pytest.mark.parametrize(("draws", "fewer"), [(8, 2), (3, 1), (1, 1)])
def test_main_conditions_have_all_draws_and_the_others_a_quarter(draws: int, fewer: int) -> None:
    metrics, forward = measured(draws)
    for condition in CONDITIONS[1:]:
        asked = [draw for one, draw in forward.asked if one == condition]
        assert asked == list(range(draws if condition.main else fewer))
        values = torch.stack([drawn(condition, draw).softmax(1) for draw in asked]).mean(0)
        probability = values.gather(1, LABELS[:, None]).mean().item()
        assert metrics.estimate(condition, "probability").value == pytest.approx(probability, rel=1e-6)


def test_results_are_in_the_order_of_the_conditions_and_paired_with_those_of_a_search() -> None:
    metrics, _ = measured(8)
    assert tuple(result.key for result in metrics.compute()) == CONDITIONS
    means = metrics.by_category("accuracy_deviation")
    assert means.values.shape == means.images.shape == (len(CONDITIONS), 3)
    search = ConditionMetrics(CONDITIONS, 3, replicates=20)
    search.update([drawn(condition, 0) for condition in CONDITIONS], LABELS, KEYS, logits=True)
    clean = CONDITIONS[0]
    assert torch.equal(metrics.replicates(clean, "probability").values, search.replicates(clean, "probability").values)
