from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nplight.errors import ArgumentError
from nplight.metrics import Selectivity, difference, poisson_weights, selectivity_summary

LABELS = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2])  # category 2 has one image, category 3 none
KEYS = torch.arange(50, 59)
PREDS = torch.randint(3, (4, 9), generator=torch.Generator().manual_seed(0))


def measured(preds: Tensor = PREDS, replicates: int = 30) -> Selectivity:
    metric = Selectivity(4, replicates=replicates)
    metric.update(torch.arange(4), preds, LABELS, KEYS)
    return metric


def test_the_matrix_is_the_accuracy_of_every_category_under_every_path() -> None:
    found = measured().compute()
    for category in range(3):
        for path in range(4):
            right = (PREDS[path] == LABELS)[category == LABELS]
            assert found.accuracy[category, path].item() == pytest.approx(right.float().mean().item())
    assert found.accuracy[3].isnan().all()
    assert found.images.tolist() == [5, 3, 1, 0]


def test_the_summary_is_the_diagonal_against_the_rest() -> None:
    found = measured().compute()
    summary = selectivity_summary(found)
    accuracy = found.accuracy[:3].double()
    own = accuracy.diagonal().mean().item()
    others = torch.stack([accuracy[c, [p for p in range(4) if p != c]] for c in range(3)]).mean().item()
    assert summary.own.value == pytest.approx(own)
    assert summary.others.value == pytest.approx(others)
    assert summary.difference == difference(found.own, found.others)
    assert summary.difference.value == pytest.approx(own - others)
    assert summary.own.low <= summary.own.value <= summary.own.high
    assert {summary.own.images, summary.others.images, summary.difference.images} == {9}


def test_a_replicate_is_the_summary_over_images_repeated_as_often_as_their_weight() -> None:
    found = measured().compute()
    weights = poisson_weights(KEYS, replicates=30)
    for replicate in range(30):
        again = torch.arange(9).repeat_interleave(weights[:, replicate])
        repeated = Selectivity(4, replicates=0)
        repeated.update(torch.arange(4), PREDS[:, again], LABELS[again], KEYS[again])
        summary = selectivity_summary(repeated.compute())
        assert found.own.values[1 + replicate].item() == pytest.approx(summary.own.value, nan_ok=True)
        assert found.others.values[1 + replicate].item() == pytest.approx(summary.others.value, nan_ok=True)


def test_path_by_path_in_unequal_batches_and_processes_it_is_the_same() -> None:
    first, second = Selectivity(4, replicates=30), Selectivity(4, replicates=30)
    for path in range(4):
        for part, metric in ((slice(0, 1), first), (slice(1, 4), second), (slice(4, 9), first)):
            metric.update(path, PREDS[path, part], LABELS[part], KEYS[part])
    first.merge_state(second)
    found, expected = first.compute(), measured().compute()
    torch.testing.assert_close(found[:2], expected[:2], equal_nan=True)
    for part, other in zip(found[2:], expected[2:]):
        torch.testing.assert_close(part[:2], other[:2], equal_nan=True)


def test_a_path_that_serves_its_category_alone_is_fully_selective() -> None:
    paths = torch.arange(4)[:, None]
    summary = selectivity_summary(measured(torch.where(paths == LABELS, LABELS, 3)).compute())
    assert (summary.own.value, summary.others.value, summary.difference.value) == (1, 0, 1)
    assert 0 < summary.difference.low < 1


def test_paths_not_tested_are_undefined() -> None:
    metric = Selectivity(4, replicates=5)
    metric.update(1, PREDS[1], LABELS, KEYS)
    found = metric.compute()
    assert found.accuracy[:, [0, 2, 3]].isnan().all()
    assert selectivity_summary(found).own.value == pytest.approx(found.accuracy[1, 1].item())


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ArgumentError, match="`num_classes` must be an integer of at least 2, got 1"):
        Selectivity(1)
    metric = Selectivity(4, replicates=5)
    with pytest.raises(ArgumentError, match=r"`preds` must be the predicted categories, \(4 paths, 9 images\) int64"):
        metric.update(torch.arange(4), PREDS[1:], LABELS, KEYS)
    with pytest.raises(ArgumentError, match=r"`preds` must be .* got \(1, 9\) torch.float32"):
        metric.update(0, PREDS[0].float(), LABELS, KEYS)
    with pytest.raises(ArgumentError, match="`paths` must be in 0 … 3, got 4"):
        metric.update(4, PREDS[0], LABELS, KEYS)
    with pytest.raises(ArgumentError, match="`labels` must be in 0 … 3, got -1"):
        metric.update(0, PREDS[0], LABELS - 1, KEYS)
