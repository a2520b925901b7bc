from __future__ import annotations

from typing import Any

import pytest
import torch

from nplight import intervene
from nplight.metrics import AccuracyDeviation, ProbabilityDeviation, probability_deviation
from tests.conftest import Reference

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


@pytest.mark.parametrize(("name", "operation"), [("removed", "remove"), ("enhanced", "enhance"), ("kept", "keep")])
def test_the_deviations_of_the_published_program_are_reproduced(
    reference: Reference, name: str, operation: Any
) -> None:
    expected = reference.expected["probability"], reference.expected[f"{name}_probability"]
    wanted = ((expected[1] - expected[0]) / expected[0]).mean().item()
    reference.model.eval()
    deviation = ProbabilityDeviation().set_dtype(torch.float64)
    for part in torch.arange(80).split(33):
        images, labels = reference.images[part], reference.labels[part]
        with torch.no_grad():
            clean = reference.model(images).softmax(1)
            with intervene(reference.model, reference.neurons[part], operation):
                edited = reference.model(images).softmax(1)
        deviation.update(*(found.gather(1, labels[:, None])[:, 0] for found in (clean, edited)))
    assert deviation.compute().item() == pytest.approx(wanted, rel=1e-9)
    assert abs(wanted) > 1e-4
