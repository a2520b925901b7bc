"""Heads scaled to a probability."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from nplight.planted.saturation import log_odds, scale_head


@pytest.mark.parametrize("probability", [0.3, 0.7, 0.98, 1 - 1e-9])
def test_a_scaled_head_gives_the_probability(probability: float) -> None:
    generator = torch.Generator().manual_seed(0)
    head = nn.Linear(6, 4, bias=False, dtype=torch.float64)
    stream = torch.randn(9, 6, generator=generator, dtype=torch.float64)
    logits = head(stream).detach()
    labels = logits.argmax(1)
    scale_head(head, logits, labels, probability)
    wanted = math.log(probability / (1 - probability))
    assert log_odds(head(stream), labels).mean().item() == pytest.approx(wanted, abs=1e-6)


def test_log_odds_are_those_of_the_probability_and_exact_near_1() -> None:
    logits = torch.tensor([[1.0, 0.0, 0.5], [200.0, 0.0, -math.inf]], dtype=torch.float64)
    probability = logits[0].softmax(0)[0]
    odds = log_odds(logits, torch.tensor([0, 0]))
    assert odds[0].item() == pytest.approx((probability / (1 - probability)).log().item())
    assert odds[1].item() == 200
