from __future__ import annotations

import pytest
import torch

from nplight.metrics import Condition, area
from nplight.results.faithfulness import accuracy_curves, area_leads, normalised_curves
from tests.results.test_by_category import measured_paths


def test_normalised_curves_go_from_none_to_all_at_every_set_of_tokens() -> None:
    measured = measured_paths()
    curves = normalised_curves(measured, 64)
    assert list(curves) == ["jas", "random"]
    assert [(curve.measure, curve.tokens) for curve in curves["jas"]] == [
        ("accuracy", "path"), ("probability", "path"), ("accuracy", "all"), ("probability", "all")
    ]  # fmt: skip
    metrics = measured.searches["jas"]
    for curve in curves["jas"]:
        none, clean, *kept = (
            metrics.estimate(condition, curve.measure).value
            for condition in (
                Condition("none", tokens=curve.tokens),
                Condition("clean"),
                *(Condition("kept", size, 1.0, curve.tokens) for size in (1, 4)),
            )
        )
        assert curve.sizes == (0, 1, 4, 64)
        assert curve.undefined is None
        expected = [(value - none) / (clean - none) for value in (none, *kept, clean)]
        assert [value.value for value in curve.values] == pytest.approx(expected, abs=1e-6)


def test_areas_lead_those_of_random_neurons() -> None:
    measured = measured_paths()
    curves, leads = accuracy_curves(measured, 64), area_leads(measured, 64)
    assert list(leads) == ["jas"]
    assert leads["jas"].value == pytest.approx(curves["jas"].area.value - curves["random"].area.value)
    accuracy = [point.value for point in curves["jas"].accuracy]
    assert curves["jas"].sizes == (1, 4, 64)
    assert area([1, 4, 64], torch.tensor(accuracy), 64).item() == pytest.approx(curves["jas"].area.value)
