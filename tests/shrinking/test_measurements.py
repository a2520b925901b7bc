"""What models cost and how often they are right."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import beta
from torch import Tensor

from nplight import open_vit, shrink
from nplight.data import ImageBatch
from nplight.errors import ArgumentError
from nplight.shrinking.measurements import Accuracy, accuracy, latencies, model_cost, paired_speedup
from tests.conftest import make_vit


def test_half_of_the_neurons_is_half_of_the_ffns() -> None:
    """5 tokens, 16 features, 64 neurons: a neuron has 16 weights and a bias before it and 16 weights after it."""
    model = make_vit()
    image = torch.zeros(1, 3, 8, 8, dtype=torch.float64)
    whole, half = (model_cost(open_vit(part), image) for part in (model, shrink(model, torch.arange(32).expand(3, -1))))
    assert whole.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert whole.parameters - half.parameters == 3 * 32 * (16 + 1 + 16)
    assert whole.size - half.size == 8 * (whole.parameters - half.parameters)
    assert whole.flops - half.flops == 3 * 32 * 5 * 2 * (16 + 16)


def test_accuracy_is_counted_over_batches(images: Tensor) -> None:
    model = make_vit()
    with torch.no_grad():
        labels = model(images).argmax(1)
    labels[0] = (labels[0] + 1) % 5
    batches = [ImageBatch(images[:1], labels[:1]), ImageBatch(images[1:], labels[1:])]
    measured = accuracy(open_vit(model), batches)
    assert (measured.value, measured.images) == (0.75, 4)
    with pytest.raises(ArgumentError, match="must have labels"):
        accuracy(open_vit(model), [ImageBatch(images)])
    with pytest.raises(ArgumentError, match="at least one image with a label, got none"):
        accuracy(open_vit(model), [])


@pytest.mark.parametrize(("correct", "images"), [(0, 20), (20, 20), (13, 20)])
def test_the_interval_is_exact(correct: int, images: int) -> None:
    share = Accuracy.of(correct, images)
    low = beta.ppf(0.025, correct, images - correct + 1) if correct else 0
    high = beta.ppf(0.975, correct + 1, images - correct) if correct < images else 1
    assert share.low == pytest.approx(low)
    assert share.high == pytest.approx(high)
    assert share.low < share.high


def test_random_draws_widen_the_interval() -> None:
    draws = [Accuracy.of(correct, 20) for correct in (10, 14)]
    together = Accuracy.over_draws(draws)
    assert together.value == pytest.approx(0.6)
    assert (together.low, together.high) == (draws[0].low, draws[1].high)


def test_models_take_turns(images: Tensor) -> None:
    models = {name: open_vit(make_vit()) for name in ("one", "other")}
    order: list[str] = []
    for name, vit in models.items():
        vit.down[0].linear.register_forward_pre_hook(lambda *_, name=name: order.append(name))
    seconds = latencies(models, images, rounds=3)
    assert order == ["one", "other"] * 4
    assert [len(rounds) for rounds in seconds.values()] == [3, 3]
    assert all(value > 0 for rounds in seconds.values() for value in rounds)
    with pytest.raises(ArgumentError, match="`rounds` must be an integer of at least 1"):
        latencies(models, images, rounds=0)
    assert paired_speedup([2.0, 4.0, 9.0], [1.0, 2.0, 3.0]) == 2
