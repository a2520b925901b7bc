from __future__ import annotations

import torch

from nplight.metrics import (
    ConditionMetrics,
    all_conditions,
)
from tests.metrics.samples import CONDITIONS, KEYS, LABELS, drawn_probabilities, measured


def test_macro_accuracy_averages_over_the_categories_that_have_images_alone() -> None:
    conditions = all_conditions(1, (), ())[:1]
    metrics = ConditionMetrics(conditions, 3)
    # Categories 0 and 1 have images; one of them is taken for category 2.
    predicted = torch.eye(3)[[0, 2, 1, 1]]
    metrics.update((predicted,), torch.tensor([0, 0, 1, 1]), torch.arange(4))
    (result,) = metrics.compute()
    assert (result.value("accuracy"), result.value("accuracy_macro")) == (0.75, 0.75)


def test_autocast_and_inference_mode_change_nothing() -> None:
    probabilities = drawn_probabilities()
    expected = measured(probabilities, slice(0, 5), slice(5, 12), replicates=50).compute()
    metrics = ConditionMetrics(CONDITIONS, 4, replicates=50)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        metrics.update([one[:5] for one in probabilities], LABELS[:5], KEYS[:5])
    metrics.update([one[5:].requires_grad_() for one in probabilities], LABELS[5:], KEYS[5:])
    assert metrics.compute() == expected
    assert not metrics.measures.sums.requires_grad


def test_the_state_does_not_grow_and_is_held_once() -> None:
    metrics = measured(drawn_probabilities(), replicates=100)

    def size() -> int:
        states = [*metrics.measures.metric_state.values(), *metrics.measures._defaults.values()]
        return sum(state.numel() * state.element_size() for state in states)

    before = size()
    measured_again = measured(drawn_probabilities(), *[slice(i, i + 1) for i in range(12)], replicates=100)
    metrics.update(drawn_probabilities(), LABELS, KEYS)
    assert size() == before
    large = len(CONDITIONS) * 4 * 101 * 4
    assert metrics.measures.sums.numel() * 4 == large
    assert measured_again.measures._defaults["sums"].numel() == 1


def test_reset_starts_anew() -> None:
    probabilities = drawn_probabilities()
    metrics = measured(drawn_probabilities(5), replicates=10)
    metrics.measures.reset()
    metrics.update(probabilities, LABELS, KEYS)
    assert metrics.compute() == measured(probabilities, replicates=10).compute()
