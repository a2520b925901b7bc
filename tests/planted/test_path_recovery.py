"""The metric of recovery."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nplight.errors import ArgumentError
from nplight.metrics import estimate
from nplight.paths import PathBatch
from nplight.planted import CausalEffects, CausalShares, PathRecovery, path_recall

KEYS = torch.arange(12)


def paths(neurons: Tensor) -> PathBatch:
    """Paths whose K neurons are all that is ranked."""
    images = len(neurons)
    scores, per_image, targets = torch.rand(neurons.shape), torch.rand(images), torch.zeros(images, dtype=torch.int64)
    return PathBatch(neurons, scores, per_image, targets, per_image, targets, neurons, scores, per_image)


def drawn(seed: int) -> Tensor:
    return torch.rand(12, 3, 6, generator=torch.Generator().manual_seed(seed)).argsort(-1)[..., :2]


def ones(images: int) -> CausalShares:
    return shares(torch.ones(images))


def shares(found: Tensor) -> CausalShares:
    """Of paths that have these effects where those of the planted ones are 1."""
    return CausalShares(CausalEffects(found, found), CausalEffects(*torch.ones(2, len(found))))


def test_the_metric_averages_over_images_in_unequal_batches_and_processes() -> None:
    found, truth = drawn(0), drawn(1)
    truth[::4] = found[::4]
    first, second = PathRecovery(3, replicates=100), PathRecovery(3, replicates=100)
    first.update(paths(found[:1]), truth[:1], ones(1), KEYS[:1], width=6)
    second.update(paths(found[1:]), truth[1:], shares(torch.zeros(11)), KEYS[1:], width=6)
    first.merge_state(second)
    recovery, by_hand = first.compute(), path_recall(found, truth)
    assert estimate(recovery.recall).value == pytest.approx(by_hand.mean().item())
    assert estimate(recovery.precision).value == pytest.approx(by_hand.mean().item())
    assert estimate(recovery.removed).value == estimate(recovery.kept).value == pytest.approx(1 / 12)
    for layer in range(3):
        value = estimate(recovery.layer_recall.of(layer))
        assert value.value == pytest.approx(by_hand[:, layer].mean().item())
        assert value.low < value.value < value.high
        assert value.images == 12
    torch.testing.assert_close(recovery.layer_auroc.values.mean(0), recovery.auroc.values)


def test_intervals_hold_the_models_where_there_are_several() -> None:
    """Ten models, all or nothing found in each: the images of a model are no independent draws."""
    found = drawn(0)
    alone, grouped = PathRecovery(3), PathRecovery(3)
    for model in range(10):
        truth = found if model % 2 else found + 10
        keys = KEYS + 12 * model
        alone.update(paths(found), truth, ones(12), keys, width=99)
        grouped.update(paths(found), truth, ones(12), keys, width=99, model=model)
    over_images, over_both = estimate(alone.compute().recall), estimate(grouped.compute().recall)
    assert over_images.value == over_both.value == 0.5
    assert over_both.high - over_both.low > 2 * (over_images.high - over_images.low)
    # The standard error of a share of 0.5 in 10 draws is 0.16.
    assert 0.4 < over_both.high - over_both.low < 0.85


def test_a_metric_of_no_layers_is_refused() -> None:
    with pytest.raises(ArgumentError, match="`depth` must be an integer of at least 1, got 0"):
        PathRecovery(0)


def test_recall_is_drawn_layer_by_layer() -> None:
    metric = PathRecovery(3, replicates=20)
    metric.update(paths(drawn(0)), drawn(1), ones(12), KEYS, width=6)
    _, ax = metric.plot()
    assert ax.get_xlabel() == "layer"
    assert ax.get_ylabel() == "recall of planted neurons"


def test_shares_are_ratios_of_means() -> None:
    """An image for which the planted path does next to nothing has next to no say."""
    metric = PathRecovery(3, replicates=100)
    planted = torch.tensor([1e-9] + [0.5] * 11)
    effects = CausalShares(CausalEffects(planted + 0.1, planted), CausalEffects(planted, planted))
    metric.update(paths(drawn(0)), drawn(1), effects, KEYS, width=6)
    removed, kept = estimate(metric.compute().removed), estimate(metric.compute().kept)
    assert removed.value == pytest.approx(effects.removed.item()) == pytest.approx((5.5 + 1.2) / 5.5)
    assert 1.15 < removed.low <= removed.value <= removed.high < 1.4
    assert kept.value == pytest.approx(1)
