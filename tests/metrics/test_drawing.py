from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torchmetrics import Metric

import nplight.metrics
from nplight.metrics import (
    AccuracyDeviation,
    BootstrapMean,
    ConceptAgreement,
    ConditionMetrics,
    NeuronFrequency,
    PathAgreement,
    ProbabilityDeviation,
    Selectivity,
    all_conditions,
    estimate,
)

LABELS = torch.tensor([0, 0, 1, 1, 2, 2])
KEYS = torch.arange(6)


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    matplotlib.use("agg")
    yield
    plt.close("all")


def updated(kind: type[Any]) -> Any:
    """A metric of this kind with six images."""
    draw = torch.Generator().manual_seed(0)
    scores = torch.rand(2, 6, 3, generator=draw)
    neurons = torch.randint(9, (2, 6, 4, 1), generator=draw)
    metric, images = {
        AccuracyDeviation: lambda: (kind(), (scores[0], scores[1], LABELS)),
        BootstrapMean: lambda: (kind((2,), replicates=20), (scores[0, :, :2], KEYS)),
        ConceptAgreement: lambda: (kind(4, 3), (neurons[0, :, :, 0], scores[:1])),
        NeuronFrequency: lambda: (kind(3, 4, 9), (neurons[0], LABELS)),
        PathAgreement: lambda: (kind(4, replicates=20), (*neurons, KEYS)),
        ProbabilityDeviation: lambda: (kind(), (scores[0, :, 0], scores[1, :, 0])),
        Selectivity: lambda: (kind(3, replicates=20), (torch.arange(3), neurons[0, :, :3, 0].T % 3, LABELS, KEYS)),
    }[kind]()
    metric.update(*images)
    return metric


def kinds() -> list[type[Metric]]:
    public = [getattr(nplight.metrics, name) for name in nplight.metrics.__all__]
    return [one for one in public if isinstance(one, type) and issubclass(one, Metric)]


@pytest.mark.parametrize("kind", kinds())
def test_every_metric_draws_itself(kind: type[Metric]) -> None:
    metric = updated(kind)
    figure, axes = metric.plot()
    assert isinstance(figure, Figure)
    assert isinstance(axes, Axes)
    assert axes.get_figure() is figure
    assert axes.has_data()
    own, given = plt.subplots()
    assert metric.plot(metric.compute(), ax=given) == (own, given)
    assert given.has_data()


def conditions() -> ConditionMetrics:
    metrics = ConditionMetrics(all_conditions(1, (1, 5), (0.5, 1.0)), 3, replicates=0)
    draw = torch.Generator().manual_seed(1)
    metrics.update([torch.rand(6, 3, generator=draw) for _ in metrics.conditions], LABELS, KEYS)
    return metrics


def lines(axes: Axes) -> dict[str, tuple[list[float], list[float]]]:
    return {str(line.get_label()): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}


def test_conditions_are_lines_by_share_pruned_or_by_method() -> None:
    metrics = conditions()
    results = metrics.compute()
    accuracy = {(one.condition, one.kept, one.pruned): 100 * one.value("accuracy") for one in results}
    drawn = lines(metrics.plot()[1])
    assert list(drawn) == ["50% of the others pruned", "100% of the others pruned", "nothing pruned"]
    assert drawn["50% of the others pruned"] == ([1, 5], [accuracy["kept", 1, 0.5], accuracy["kept", 5, 0.5]])
    assert drawn["nothing pruned"][1] == [accuracy["clean", None, None]] * 2

    other = ConditionMetrics(metrics.conditions, 3, method="random", replicates=0)
    other.load_state_dict(metrics.state_dict())
    draw = torch.Generator().manual_seed(2)
    other.update([torch.rand(6, 3, generator=draw) for _ in other.conditions], LABELS, KEYS)
    drawn = lines(other.plot([*results, *other.compute()])[1])
    assert list(drawn) == ["jas", "random", "nothing pruned"]
    assert drawn["jas"] == ([1, 5], [accuracy["kept", 1, 1.0], accuracy["kept", 5, 1.0]])


def test_heat_maps_hold_the_shares() -> None:
    frequency = updated(NeuronFrequency)
    counts = frequency.compute().counts.to_dense()
    (everything,) = frequency.plot()[1].images
    assert np.allclose(everything.get_array(), 100 * counts.sum(0) / 6)
    (own,) = frequency.plot(category=1)[1].images
    assert np.allclose(own.get_array(), 100 * counts[1] / 2)
    selectivity = updated(Selectivity)
    (matrix,) = selectivity.plot()[1].images
    assert np.allclose(matrix.get_array(), 100 * selectivity.compute().accuracy)


def test_values_stand_between_the_ends_of_their_intervals() -> None:
    agreement = updated(PathAgreement)
    _, axes = agreement.plot()
    layers = [estimate(agreement.compute().layers.of(layer)) for layer in range(4)]
    (drawn,) = axes.containers
    points, _, (bars,) = drawn.lines
    assert list(points.get_ydata()) == [one.value for one in layers]
    assert np.allclose([bar[:, 1] for bar in bars.get_segments()], [(one.low, one.high) for one in layers])
