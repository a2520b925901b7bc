from __future__ import annotations

import math

import pytest
import torch

from nplight.errors import ArgumentError, NonFiniteError
from nplight.metrics import (
    MEASURES,
    Condition,
    ConditionMetrics,
    Estimate,
    all_conditions,
    difference,
    estimate,
    poisson_weights,
)
from nplight.metrics.intervals import paired_limits, wilson_limits
from nplight.metrics.random_draws import draw_spread
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
    assert list(second.to_dict()) == [
        "method",
        "condition",
        "kept",
        "pruned",
        "tokens",
        "layers",
        "scale",
        "images",
    ] + [measure + suffix for measure in MEASURES for suffix in ("", "_low", "_high")]


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


def test_intervals_hold_their_figures_and_the_clean_deviation_is_0_without_one() -> None:
    metrics = measured(drawn_probabilities(), method="random")
    for result in metrics.compute():
        assert result.method == "random"
        for measure in MEASURES:
            known = result.values[measure]
            if result.condition == "clean" and "deviation" in measure:
                assert known == Estimate(0, math.nan, math.nan, 12)
            else:
                assert known.low <= known.value <= known.high
                assert known.low < known.high


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


def drawn_control(draws: int, seed: int = 0) -> list[list[torch.Tensor]]:
    """Probabilities of every draw, the clean ones alike in all."""
    drawn = [drawn_probabilities(seed + draw) for draw in range(draws)]
    return [[drawn[0][0], *probabilities[1:]] for probabilities in drawn]


def control(drawn: list[list[torch.Tensor]], *parts: slice, replicates: int = 200) -> ConditionMetrics:
    metrics = ConditionMetrics(CONDITIONS, 4, method="random", replicates=replicates, draws=len(drawn))
    for part in parts or (slice(None),):
        per_draw = ([one[part] for one in probabilities] for probabilities in drawn)
        metrics.update_draws(per_draw, LABELS[part], KEYS[part])
    return metrics


def test_a_control_is_the_mean_of_its_draws_with_their_spread() -> None:
    drawn = drawn_control(5)
    together, alone = control(drawn), [measured(one, replicates=200) for one in drawn]
    for condition in CONDITIONS:
        for measure in MEASURES:
            values = torch.stack([metrics.replicates(condition, measure).values for metrics in alone])
            found = together.replicates(condition, measure).values
            assert found[0].item() == pytest.approx(values[:, 0].mean().item(), rel=1e-6)
            added = found[1:] - values[:, 1:].mean(0)
            # Without an edit the draws do not differ.
            assert condition != CONDITIONS[0] or added.abs().max() < 1e-6


def test_what_the_draws_add_is_their_spread_less_that_of_the_images_within_a_draw() -> None:
    drawn = drawn_control(5)
    together, alone = control(drawn), [measured(one, replicates=200) for one in drawn]
    for number, condition in enumerate(CONDITIONS):
        per_image = torch.stack([one[number].gather(1, LABELS[:, None])[:, 0].double() for one in drawn])
        means, effects = per_image.mean(1, keepdim=True), per_image.mean(0)
        interaction = (per_image - means - effects + per_image.mean()).square().sum() / (11 * 4)
        expected = draw_spread(means[:, 0], interaction / 12, replicates=200)
        values = torch.stack([metrics.replicates(condition, "probability").values for metrics in alone])
        found = together.replicates(condition, "probability").values
        torch.testing.assert_close(found[1:] - values[:, 1:].mean(0), expected.deviations, rtol=1e-6, atol=1e-9)


def test_a_control_does_not_depend_on_batches_or_processes() -> None:
    drawn = drawn_control(5)
    whole = control(drawn)
    first, second, idle = (control(drawn, part) for part in (slice(0, 5), slice(5, 12), slice(0)))
    first.measures.merge_state(idle.measures)
    first.measures.merge_state(second.measures)
    for metrics in (first, control(drawn, slice(0, 1), slice(1, 12))):
        torch.testing.assert_close(
            metrics.measures.compute().replicates[:2], whole.measures.compute().replicates[:2], equal_nan=True
        )


def test_draws_that_are_alike_are_as_good_as_one() -> None:
    probabilities = drawn_probabilities()
    found, expected = control([probabilities] * 3), measured(probabilities, replicates=200)
    for condition in CONDITIONS:
        for measure in ("accuracy", "probability"):
            alike = found.estimate(condition, measure)
            known = expected.estimate(condition, measure)
            assert [alike.low, alike.high] == pytest.approx([known.low, known.high], rel=1e-6)


def test_an_estimate_is_that_of_the_replicates_by_the_kind_of_the_measure() -> None:
    metrics, other = measured(drawn_probabilities()), measured(drawn_probabilities(1))
    for condition in CONDITIONS:
        for measure in MEASURES:
            replicates = metrics.replicates(condition, measure)
            assert metrics.estimate(condition, measure) == estimate(replicates)
            assert metrics.difference(other, condition, measure) == difference(
                replicates, other.replicates(condition, measure)
            )
    assert metrics.replicates(CONDITIONS[1], "accuracy").interval == "share"
    assert metrics.replicates(CONDITIONS[0], "accuracy_deviation").interval == "fixed"


def test_a_change_of_accuracy_is_judged_by_the_counts_of_its_gains_and_losses() -> None:
    probabilities = drawn_probabilities()
    before, after = (probabilities[number].argmax(1) == LABELS for number in (0, 1))
    gains, losses = int((after & ~before).sum()), int((before & ~after).sum())
    found = measured(probabilities).estimate(CONDITIONS[1], "accuracy_deviation")
    assert (found.low, found.high) == pytest.approx(paired_limits(gains, losses, 12))
    share = measured(probabilities).estimate(CONDITIONS[1], "accuracy")
    assert (share.low, share.high) == pytest.approx(wilson_limits(int(after.sum()), 12))


def test_the_means_of_categories_are_those_of_their_images() -> None:
    probabilities = drawn_probabilities()
    metrics = measured(probabilities, slice(0, 5), slice(5, 12), replicates=3)
    for measure in MEASURES:
        found = metrics.by_category(measure)
        assert found.images.tolist() == [[4, 3, 5, 0]] * len(CONDITIONS)
        for category in range(3):
            members = category == LABELS
            alone = ConditionMetrics(CONDITIONS, 4, replicates=0)
            alone.update([one[members] for one in probabilities], LABELS[members], KEYS[members])
            expected = [alone.replicates(condition, measure).values.item() for condition in CONDITIONS]
            assert found.values[:, category].tolist() == pytest.approx(expected, rel=1e-6)
        assert found.values[:, 3].isnan().all()


def test_each_images_own_paths_have_a_clean_condition_of_their_own() -> None:
    own = (Condition("own clean"), Condition("own removed", 1))
    metrics = ConditionMetrics(own, 4)
    metrics.update(drawn_probabilities()[:2], LABELS, KEYS)
    assert metrics.estimate(own[0], "probability_deviation") == Estimate(0, math.nan, math.nan, 12)


def test_another_number_of_draws_is_refused() -> None:
    with pytest.raises(ArgumentError, match="`draws` must be an integer of at least 1, got 0"):
        ConditionMetrics(CONDITIONS, 4, draws=0)
    metrics = ConditionMetrics(CONDITIONS, 4, draws=3)
    with pytest.raises(ArgumentError, match="must yield 3 draws, as many as `draws`, got 1"):
        metrics.update(drawn_probabilities(), LABELS, KEYS)
