from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from torch import Tensor

from nplight.attribution import OBJECTIVES
from nplight.errors import ArgumentError, NonFiniteError
from nplight.metrics import (
    MEASURES,
    OBJECTIVE_MEASURES,
    Condition,
    ConditionMetrics,
    PredictedBatch,
    difference,
    measures_among,
    measures_of,
)
from tests.metrics.samples import CONDITIONS, KEYS, LABELS


def drawn_logits(seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(len(LABELS), 4, generator=draw, dtype=torch.float64).mul(3).to(dtype) for _ in CONDITIONS]


def measured(logits: list[Tensor], *objectives: str, parts: int = 12) -> ConditionMetrics:
    metrics = ConditionMetrics(CONDITIONS, 4, replicates=20, objectives=objectives)
    for part in torch.arange(12).split(parts):
        metrics.update([scores[part] for scores in logits], LABELS[part], KEYS[part], logits=True)
    return metrics


def by_numpy(logits: Tensor) -> dict[str, np.ndarray]:
    values, labels = logits.double().numpy(), LABELS.numpy()
    rows = np.arange(len(labels))
    others = np.where(np.eye(values.shape[1], dtype=bool)[labels], -np.inf, values)
    of_label = values[rows, labels]
    return {
        "log_probability": of_label - np.log(np.exp(values).sum(1)),
        "logit": of_label,
        "margin": of_label - others.max(1),
    }


def test_every_objective_has_its_value_and_its_change() -> None:
    logits = drawn_logits()
    metrics = measured(logits, *OBJECTIVES, parts=5)
    assert list(metrics.measured) == list(measures_of(OBJECTIVES))
    clean = by_numpy(logits[0])
    for scores, result in zip(logits, metrics.compute(), strict=True):
        for name, values in by_numpy(scores).items():
            assert result.value(name) == pytest.approx(values.mean(), rel=1e-6)
            change = (values - clean[name]).mean()
            assert result.value(f"{name}_deviation") == pytest.approx(change, rel=1e-6, abs=1e-12)
            assert result.values[name].low < result.value(name) < result.values[name].high
        by_category = metrics.by_category("logit_deviation").values[metrics.conditions.index(result.key)]
        changes = by_numpy(scores)["logit"] - clean["logit"]
        expected = [changes[LABELS.numpy() == label].mean() for label in range(3)]
        assert by_category[:3].tolist() == pytest.approx(expected, abs=1e-12)


def test_values_are_known_where_probabilities_saturate() -> None:
    logits = torch.tensor([[200.0, 0.0, 0.0], [0.0, 200.0, 0.0]])
    batch = PredictedBatch.of_logits([logits], torch.tensor([0, 0]), clean=0)
    assert batch.probability.flatten().tolist() == [1, 0]
    expected = {"log_probability": [0, -200], "logit": [200, 0], "margin": [200, -200]}
    for name, values in expected.items():
        assert measures_of(OBJECTIVES)[name].per_image(batch).flatten().tolist() == pytest.approx(values)
    assert all(measures_of(OBJECTIVES)[name].per_image(batch).dtype == torch.float64 for name in expected)


def test_the_measures_of_every_run_are_those_of_probabilities_bit_by_bit() -> None:
    logits = drawn_logits(dtype=torch.float32)
    metrics, of_probabilities = measured(logits, "margin"), ConditionMetrics(CONDITIONS, 4, replicates=20)
    of_probabilities.update([scores.softmax(1) for scores in logits], LABELS, KEYS)
    assert list(measured(logits).measured) == list(of_probabilities.measured) == list(MEASURES)
    for name in MEASURES:
        for condition in CONDITIONS:
            one, other = (each.replicates(condition, name) for each in (metrics, of_probabilities))
            assert torch.equal(one.values, other.values)


def test_differences_of_methods_are_paired() -> None:
    one, other = measured(drawn_logits(0), "logit"), measured(drawn_logits(1), "logit")
    condition = Condition("removed", 1)
    pair = difference(one.replicates(condition, "logit"), other.replicates(condition, "logit"))
    assert one.difference(other, condition, "logit") == pair
    values = [by_numpy(drawn_logits(seed)[1])["logit"].mean() for seed in (0, 1)]
    assert pair.value == pytest.approx(values[0] - values[1])


def test_a_run_has_the_measures_of_its_objectives() -> None:
    assert list(measures_of()) == list(measures_of(["probability"])) == list(MEASURES)
    both = list(measures_of(["margin", "log-probability", "margin", "probability"]))
    added = ["log_probability", "log_probability_deviation", "margin", "margin_deviation"]
    assert both == [*MEASURES, *added]
    assert list(measures_among({*both, "kept", "margin_low"})) == both
    assert list(measures_among({"method", "accuracy"})) == list(MEASURES)
    assert set(OBJECTIVE_MEASURES) == set(OBJECTIVES) - {"probability"}
    for name, row in measures_of(OBJECTIVES).items():
        assert row.name == name
        assert len(row.column) <= 9
        assert row.description
        assert pickle.loads(pickle.dumps(row)).label == row.label


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"`objective` must be one of 'probability', .* got 'loss'"):
        ConditionMetrics(CONDITIONS, 4, objectives=["loss"])
    with pytest.raises(ArgumentError, match=r"`objective` 'margin' compares .* two categories at least"):
        ConditionMetrics(CONDITIONS, 1, objectives=["margin"])
    metrics = ConditionMetrics(CONDITIONS, 4, objectives=["logit"])
    with pytest.raises(ArgumentError, match="objective 'logit' must be computed from logits, got probabilities"):
        metrics.update([scores.softmax(1) for scores in drawn_logits()], LABELS, KEYS)
    masked = [scores.masked_fill(torch.arange(4) != LABELS[:, None], -torch.inf) for scores in drawn_logits()]
    with pytest.raises(NonFiniteError, match="the margin of the label is NaN or infinite under an edit"):
        measured(masked, "margin")
    with pytest.raises(ArgumentError, match=r"`measure` must be one of 'accuracy', .* 'logit_deviation', got 'margin'"):
        metrics.estimate(CONDITIONS[0], "margin")
    with pytest.raises(ArgumentError, match=r"`measure` must be one of 'accuracy', .* 'logit_deviation', got 'margin'"):
        metrics.plot(measure="margin")
