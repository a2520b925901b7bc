from __future__ import annotations

import pytest
import torch

from nplight.metrics import AccuracyDeviation, ProbabilityDeviation, probability_deviation

CLEAN = torch.tensor([0.5, 0.8, 0.0, 0.1])
EDITED = torch.tensor([0.25, 0.8, 0.3, 0.3])


def test_the_deviation_is_relative_to_the_clean_probability() -> None:
    assert probability_deviation(CLEAN, EDITED)[[0, 1, 3]].tolist() == pytest.approx([-0.5, 0, 2])
    assert probability_deviation(CLEAN, EDITED)[2].isnan()


def test_unequal_batches_give_the_mean_over_images_without_the_undefined() -> None:
    metric = ProbabilityDeviation()
    metric.update(CLEAN[:3], EDITED[:3])
    metric.update(CLEAN[3:], EDITED[3:])
    assert metric.compute().item() == pytest.approx((-0.5 + 0 + 2) / 3)
    metric.reset()
    metric.update(CLEAN[2:3], EDITED[2:3])
    assert metric.compute().isnan()


def test_accuracy_deviation_is_a_difference_of_accuracies() -> None:
    labels = torch.tensor([0, 1, 1, 0, 1])
    before, after = torch.eye(2)[[0, 1, 1, 1, 1]], torch.eye(2)[[1, 0, 1, 0, 1]]
    metric = AccuracyDeviation()
    for part in (slice(0, 2), slice(2, 5)):
        metric.update(before[part], after[part], labels[part])
    assert metric.compute().item() == pytest.approx(3 / 5 - 4 / 5)
