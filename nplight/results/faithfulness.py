"""Faithfulness of searches and controls: accuracy curves, their areas, and normalised curves."""

from __future__ import annotations

from nplight.metrics import (
    Condition,
    ConditionMetrics,
    ControlMetrics,
    Estimate,
    FaithfulnessCurve,
    KeptMeasure,
    NormalisedFaithfulness,
    area_replicates,
    difference,
    faithfulness_curve,
    normalised_faithfulness,
    pruned_accuracy,
)
from nplight.neurons import Tokens
from nplight.results.measured_paths import MeasuredPaths

Metrics = ConditionMetrics | ControlMetrics


def accuracy_curves(tested: MeasuredPaths, total: int) -> dict[str, FaithfulnessCurve]:
    """Accuracy against neurons kept at the main tokens, per search and control.

    Args:
        tested: what was measured, over all processes.
        total: neurons per layer.
    """
    points = {name: pruned_accuracy(metrics, total) for name, metrics in tested.metrics.items()}
    return {name: faithfulness_curve(*curve, total) for name, curve in points.items() if len(curve[0]) > 1}


def area_leads(tested: MeasuredPaths, total: int) -> dict[str, Estimate]:
    """The area under each search's curve minus that of random neurons; arguments as `accuracy_curves`."""
    leads = {}
    for search, control in tested.controls.get("random", {}).items():
        curves = [pruned_accuracy(one, total) for one in (tested.searches.get(search), control) if one is not None]
        if len(curves) == 2 and all(len(sizes) > 1 for sizes, _ in curves):
            leads[search] = difference(*(area_replicates(*curve, total) for curve in curves))
    return leads


def normalised_curves(tested: MeasuredPaths, total: int) -> dict[str, list[NormalisedFaithfulness]]:
    """Normalised faithfulness of accuracy, probability and the objectives; arguments as `accuracy_curves`.

    There is a curve for every tested set of tokens.
    """
    return {name: _normalised(metrics, total) for name, metrics in tested.metrics.items()}


def _normalised(metrics: Metrics, total: int) -> list[NormalisedFaithfulness]:
    return [
        normalised_faithfulness(_kept(metrics, tokens, measure, total), measure=measure, tokens=tokens)
        for tokens in dict.fromkeys(one.tokens for one in metrics.conditions if one.name == "none")
        for measure in (name for name, row in metrics.measured.items() if row.normalised)
    ]


def _kept(metrics: Metrics, tokens: Tokens, measure: str, total: int) -> KeptMeasure:
    sizes = {
        one.kept: one
        for one in metrics.conditions
        if one.name == "kept" and one.main and one.tokens == tokens and one.kept is not None and one.kept < total
    }
    points = {0: Condition("none", tokens=tokens), **dict(sorted(sizes.items())), total: Condition("clean")}
    return KeptMeasure(list(points), [metrics.replicates(condition, measure) for condition in points.values()])
