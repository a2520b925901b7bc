from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import CategoryPaths, intervene, open_vit
from nplight.errors import ArgumentError, NonFiniteError
from nplight.metrics import (
    MEASURES,
    Condition,
    ConditionMetrics,
    all_conditions,
    difference,
    poisson_weights,
    predictions,
)


@pytest.fixture
def paths() -> dict[int, CategoryPaths]:
    draw = torch.Generator().manual_seed(0)
    ranking = torch.rand(5, 3, 64, generator=draw).argsort(-1)
    return {
        size: CategoryPaths(ranking[..., :size], torch.ones(5, 3, size), torch.ones(5, dtype=torch.int64), "frequency")
        for size in (1, 4)
    }


def test_conditions_are_the_clean_the_removed_the_enhanced_and_the_whole_grid() -> None:
    conditions = all_conditions(2, (1, 4), (0.1, 1.0))
    assert conditions[:3] == (Condition("clean"), Condition("removed", 2), Condition("enhanced", 2))
    assert [(one.kept, one.pruned) for one in conditions[3:]] == [(1, 0.1), (1, 1.0), (4, 0.1), (4, 1.0)]
    with pytest.raises(ArgumentError, match=r"`fractions` must be a fraction in \[0, 1\] .*, got 10"):
        all_conditions(1, (1,), (10,))


def test_each_image_is_edited_along_the_path_of_its_own_category(
    vit: VisionTransformer, images: Tensor, targets: Tensor, paths: dict[int, CategoryPaths]
) -> None:
    conditions = all_conditions(1, (1, 4), (0.0, 1.0))
    found = dict(zip(conditions, predictions(open_vit(vit), images, targets, conditions, {"jas": paths})["jas"]))
    with torch.no_grad():
        clean = vit(images).softmax(1)
        torch.testing.assert_close(found[Condition("clean")], clean)
        torch.testing.assert_close(found[Condition("kept", 4, 0.0)], clean)
        for condition, operation in (
            (Condition("removed", 1), "remove"),
            (Condition("enhanced", 1), "enhance"),
            (Condition("kept", 1, 1.0), "keep"),
            (Condition("kept", 4, 1.0), "keep"),
        ):
            neurons = torch.stack([paths[condition.kept].neurons[label] for label in targets.tolist()])
            with intervene(vit, neurons, operation):
                torch.testing.assert_close(found[condition], vit(images).softmax(1))


def test_what_a_fraction_prunes_depends_on_seed_and_category_not_on_the_batch(
    vit: VisionTransformer, images: Tensor, targets: Tensor, paths: dict[int, CategoryPaths]
) -> None:
    conditions = all_conditions(1, (4,), (0.3, 0.5))

    def run(order: list[int], seed: int) -> Tensor:
        found = predictions(open_vit(vit), images[order], targets[order], conditions, {"jas": paths}, seed=seed)
        return torch.stack(found["jas"])

    whole = run([0, 1, 2, 3], 0)
    torch.testing.assert_close(run([3, 1], 0), whole[:, [3, 1]])
    assert not torch.allclose(run([0, 1, 2, 3], 1)[3:], whole[3:])
    edited = []
    vit.blocks[0].mlp.fc2.register_forward_hook(lambda module, arguments, output: edited.append(arguments[0][:, 0]))
    predictions(open_vit(vit), images, targets, conditions[-1:], {"jas": paths})
    pruned = edited[-1] == 0  # the clean pass runs first
    assert pruned.sum(1).tolist() == [30] * 4
    assert torch.equal(pruned[1], pruned[3])  # the two images of category 3
    assert not torch.equal(pruned[0], pruned[1])


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


def test_macro_accuracy_averages_over_the_categories_that_have_images_alone() -> None:
    conditions = all_conditions(1, (), ())[:1]
    metrics = ConditionMetrics(conditions, 3)
    # Categories 0 and 1 have images; one of them is taken for category 2.
    predicted = torch.eye(3)[[0, 2, 1, 1]]
    metrics.update((predicted,), torch.tensor([0, 0, 1, 1]), torch.arange(4))
    (result,) = metrics.compute()
    assert (result.value("accuracy"), result.value("accuracy_macro")) == (0.75, 0.75)


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
