from __future__ import annotations

import pytest
import torch

from nplight.metrics import ConditionMetrics, all_conditions
from nplight.metrics.condition_measures import ConditionMeasures
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


@pytest.mark.parametrize("draws", [1, 20])
def test_1000_categories_take_under_30_megabytes_however_many_images_there_are(draws: int) -> None:
    measures = ConditionMeasures(43, 0, 1000, draws=draws, replicates=1000)
    generator = torch.Generator().manual_seed(0)
    sizes = []
    for batch in range(2):
        probabilities = [torch.rand(4, 1000, generator=generator)] * 43
        keys = torch.arange(4) + 4 * batch
        measures.update([probabilities] * draws, torch.randint(1000, (4,), generator=generator), keys)
        sizes.append(sum(state.numel() * state.element_size() for state in measures.metric_state.values()))
    assert sizes[0] == sizes[1] < 30e6


def test_macro_accuracy_of_many_categories_has_the_value_of_a_run_without_replicates() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(1000).repeat(2)
    probabilities = [torch.rand(2000, 1000, generator=generator) for _ in range(2)]
    for scores in probabilities:
        scores[torch.arange(0, 2000, 3), labels[::3]] = 2
    conditions = all_conditions(1, (), ())[:2]
    values = []
    for replicates in (0, 1000):
        metrics = ConditionMetrics(conditions, 1000, replicates=replicates)
        metrics.update(probabilities, labels, torch.arange(2000))
        values.append(metrics.estimate(conditions[1], "accuracy_macro"))
    assert values[0].value == values[1].value
    low, high = values[1].low, values[1].high
    share = values[1].value
    # As many images per category: the interval is that of a share of all images.
    assert (high - low) / 2 == pytest.approx(1.96 * (share * (1 - share) / 2000) ** 0.5, rel=0.05)


def test_reset_starts_anew() -> None:
    probabilities = drawn_probabilities()
    metrics = measured(drawn_probabilities(5), replicates=10)
    metrics.measures.reset()
    metrics.update(probabilities, LABELS, KEYS)
    assert metrics.compute() == measured(probabilities, replicates=10).compute()
