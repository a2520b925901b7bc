from __future__ import annotations

import pytest
import torch

from nplight.errors import ArgumentError, NonFiniteError
from nplight.metrics import (
    MEASURES,
    ConditionMetrics,
    all_conditions,
    difference,
    poisson_weights,
)
from tests.metrics.samples import CONDITIONS, KEYS, LABELS, drawn_probabilities, measured


def test_results_are_those_computed_by_hand_over_unequal_batches() -> None:
    conditions = all_conditions(1, (), ())[:2]
    metrics = ConditionMetrics(conditions, 3)
    draw = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2])
    clean, edited = (torch.randn(7, 3, generator=draw).mul(2).softmax(1) for _ in range(2))
    for part in (slice(0, 5), slice(5, 7)):
        metrics.update((clean[part], edited[part]), labels[part], torch.arange(7)[part])
    first, second = metrics.compute()
    right = edited.argmax(1) == labels
    before, after = (values.gather(1, labels[:, None])[:, 0] for values in (clean, edited))
    assert (
        first.condition,
        first.images,
        first.value("probability_deviation"),
        first.value("accuracy_deviation"),
    ) == ("clean", 7, 0, 0)
    assert second.value("accuracy") == pytest.approx(right.float().mean().item())
    macro = torch.stack([right[labels == category].float().mean() for category in range(3)]).mean().item()
    assert second.value("accuracy_macro") == pytest.approx(macro)
    assert second.value("probability") == pytest.approx(after.mean().item())
    assert second.value("probability_deviation") == pytest.approx(((after - before) / before).mean().item(), rel=1e-5)
    assert second.value("accuracy_deviation") == pytest.approx(
        second.value("accuracy") - first.value("accuracy"), abs=1e-6
    )
    assert list(second.to_dict()) == ["method", "condition", "kept", "pruned", "images"] + [
        measure + suffix for measure in MEASURES for suffix in ("", "_low", "_high")
    ]


def test_a_replicate_is_the_figure_over_images_repeated_as_often_as_their_weight() -> None:
    probabilities = drawn_probabilities()
    metrics = measured(probabilities, slice(0, 5), slice(5, 12), replicates=20, seed=3)
    weights = poisson_weights(KEYS, replicates=20, seed=3)
    for replicate in range(20):
        again = torch.arange(len(LABELS)).repeat_interleave(weights[:, replicate])
        repeated = ConditionMetrics(CONDITIONS, 4, replicates=0)
        repeated.update([one[again] for one in probabilities], LABELS[again], KEYS[again])
        for condition in CONDITIONS:
            for measure in MEASURES:
                expected = repeated.replicates(condition, measure).values
                found = metrics.replicates(condition, measure).values[1 + replicate]
                torch.testing.assert_close(found, expected.squeeze(), rtol=1e-12, atol=1e-12)


def test_results_do_not_depend_on_batches_order_or_processes() -> None:
    probabilities = drawn_probabilities()
    whole = measured(probabilities, replicates=50).compute()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    shuffled = ConditionMetrics(CONDITIONS, 4, replicates=50)
    shuffled.update([one[order] for one in probabilities], LABELS[order], KEYS[order])
    assert shuffled.compute() == whole
    first, second, idle = (
        measured(probabilities, part, replicates=50) for part in (slice(0, 1), slice(1, 12), slice(0))
    )
    first.measures.merge_state(second.measures)
    first.measures.merge_state(idle.measures)
    assert first.compute() == whole


def test_intervals_hold_their_figures_and_the_clean_deviation_is_0_throughout() -> None:
    metrics = measured(drawn_probabilities(), method="random")
    for result in metrics.compute():
        assert result.method == "random"
        for measure in MEASURES:
            known = result.values[measure]
            assert known.low <= known.value <= known.high
            assert (known.low < known.high) == (result.condition != "clean" or "deviation" not in measure)


def test_two_methods_are_compared_image_by_image() -> None:
    probabilities = drawn_probabilities()
    better = [one.clone() for one in probabilities]
    better[1] = (better[1] + 0.1 * torch.eye(4)[LABELS]) / 1.1
    removed = CONDITIONS[1]
    first, second = (measured(one).replicates(removed, "probability") for one in (better, probabilities))
    found = difference(first, second)
    assert found.value == pytest.approx((first.values[0] - second.values[0]).item())
    assert found.images == 12
    # Every image gains, so the paired interval lies above 0 although those of the two methods overlap.
    assert 0 < found.low < found.value < found.high
    assert first.values[1:].quantile(0.025) < second.values[1:].quantile(0.975)


def test_without_replicates_there_are_no_intervals() -> None:
    with_intervals, without = (measured(drawn_probabilities(), replicates=number).compute() for number in (50, 0))
    for one, other in zip(with_intervals, without):
        written = other.to_dict()
        for measure in MEASURES:
            assert one.value(measure) == other.value(measure)
            assert written[measure + "_low"] is None
            assert written[measure + "_high"] is None


def test_no_images_and_clean_probabilities_of_0_give_undefined_figures() -> None:
    metrics = measured(drawn_probabilities(), slice(0), replicates=5)
    (first, *_) = metrics.compute()
    assert first.images == 0
    assert all(first.to_dict()[measure] is None for measure in MEASURES)
    # Ties fall to the first category; the deviation has no images.
    zeros = [torch.zeros(12, 4) for _ in CONDITIONS]
    result = measured(zeros, replicates=5).compute()[1]
    assert (result.images, result.value("accuracy"), result.value("probability")) == (
        12,
        pytest.approx(4 / 12),
        0,
    )
    assert result.to_dict()["probability_deviation"] is None
    tiny = [torch.full((12, 4), value) for value in (1e-45, 0.5, 0.5, 0.5)]
    assert measured(tiny, replicates=5).compute()[1].value("probability_deviation") < float("inf")


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"`conditions` must hold Condition\('clean'\)"):
        ConditionMetrics(CONDITIONS[1:], 4)
    with pytest.raises(ArgumentError, match="`replicates` must be an integer of at least 0, got -1"):
        ConditionMetrics(CONDITIONS, 4, replicates=-1)
    metrics = ConditionMetrics(CONDITIONS, 4)
    probabilities = drawn_probabilities()
    with pytest.raises(ArgumentError, match="one tensor for each of the 4 conditions, got 3"):
        metrics.update(probabilities[1:], LABELS, KEYS)
    with pytest.raises(ArgumentError, match="`keys` must be one for each of the 12 images, got 11"):
        metrics.update(probabilities, LABELS, KEYS[1:])
    with pytest.raises(ArgumentError, match=r"`keys` must be \(images,\) int64, got \(12,\) torch.float32"):
        metrics.update(probabilities, LABELS, KEYS.float())
    with pytest.raises(ArgumentError, match=r"`measure` must be one of 'accuracy'.*, got 'loss'"):
        metrics.replicates(CONDITIONS[0], "loss")
    probabilities[2][3] = torch.nan
    with pytest.raises(NonFiniteError, match="under an edit for the images at positions 3 of the batch"):
        metrics.update(probabilities, LABELS, KEYS)
