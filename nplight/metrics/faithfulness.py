"""Accuracy against the number of neurons kept, and the area under that curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from nplight.errors import ArgumentError
from nplight.metrics.condition_metrics import ConditionMetrics
from nplight.metrics.conditions import Condition, whole_conditions
from nplight.metrics.control_metrics import ControlMetrics
from nplight.metrics.replicates import Estimate, Replicates, estimate


def area(sizes: Sequence[int], accuracies: Tensor, total: int) -> Tensor:
    """Mean accuracy over log(neurons kept), by the trapezoid rule.

    The axis is logarithmic because paths have few neurons: on a linear axis from 1 to 3,072, sizes up to 50 would be 2%
    of the area, and all methods would score alike.

    Args:
        sizes: neurons kept per layer, at least 1, increasing; the last is `total`, where nothing is pruned, so that
            the last accuracy is the clean one.
        accuracies: (sizes, …), in [0, 1].
        total: neurons per layer.

    Returns:
        (…) in [0, 1]: 1 if accuracy is 1 at every size.

    Raises:
        ArgumentError: `sizes` does not increase from at least 1 to `total`, or the number of accuracies differs.

    Examples:
        >>> import torch
        >>> from nplight.metrics import area
        >>> area((1, 10, 100), torch.tensor([0.5, 0.7, 0.9]), 100)
        tensor(0.7000, dtype=torch.float64)
    """
    increasing = all(low < high for low, high in pairwise(sizes))
    if len(sizes) < 2 or sizes[0] < 1 or sizes[-1] != total or not increasing:
        raise ArgumentError(
            f"`sizes` must be at least two, increase from 1 or more, and end with `total` = {total}, "
            f"where the accuracy is the clean one; got {list(sizes)}"
        )
    if len(accuracies) != len(sizes):
        raise ArgumentError(f"`accuracies` must be one for each of the {len(sizes)} sizes, got {len(accuracies)}")
    logarithms = torch.tensor(sizes, dtype=torch.float64, device=accuracies.device).log()
    return torch.trapezoid(accuracies.double(), logarithms, dim=0) / (logarithms[-1] - logarithms[0])


def area_replicates(sizes: Sequence[int], accuracies: Sequence[Replicates], total: int) -> Replicates:
    """`area` with replicates, for `estimate`, or for the `difference` to another method or to `random`.

    Args:
        sizes: as in `area`.
        accuracies: per size, measured on the same images with the same seed.
        total: as in `area`.

    Raises:
        ArgumentError: as `area`.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Replicates, area_replicates, difference
        >>> shares = torch.tensor([[0.7], [0.1], [0.9]], dtype=torch.float64)
        >>> ours, random, clean = (Replicates(share, torch.tensor(20)) for share in shares)
        >>> areas = [area_replicates((1, 100), [kept, clean], total=100) for kept in (ours, random)]
        >>> round(difference(*areas).value, 6)
        0.3
    """
    values = torch.stack([accuracy.values for accuracy in accuracies])
    images = torch.stack([accuracy.images for accuracy in accuracies]).min()
    # A mean of shares is judged as a share of images that are right at every size.
    return Replicates(area(sizes, values, total), images, interval=accuracies[0].interval)


@dataclass(frozen=True, slots=True)
class FaithfulnessCurve:
    """Accuracy against neurons kept, from few to all.

    Attributes:
        sizes: neurons kept per layer; the last is all of them.
        accuracy: per size.
        area: under the curve, the sizes on a logarithmic axis, in [0, 1].

    Examples:
        >>> import torch
        >>> from nplight.metrics import Replicates, faithfulness_curve
        >>> shares = torch.tensor([[0.5], [0.9]], dtype=torch.float64)
        >>> few, every = (Replicates(share, torch.tensor(20)) for share in shares)
        >>> curve = faithfulness_curve((1, 100), [few, every], total=100)
        >>> curve.sizes, [point.value for point in curve.accuracy]
        ((1, 100), [0.5, 0.9])
    """

    sizes: tuple[int, ...]
    accuracy: tuple[Estimate, ...]
    area: Estimate


def faithfulness_curve(sizes: Sequence[int], accuracies: Sequence[Replicates], total: int) -> FaithfulnessCurve:
    """The curve with its area and intervals; arguments and errors as `area_replicates`.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Replicates, faithfulness_curve
        >>> shares = torch.tensor([[0.5], [0.9]], dtype=torch.float64)
        >>> few, every = (Replicates(share, torch.tensor(20)) for share in shares)
        >>> round(faithfulness_curve((1, 100), [few, every], total=100).area.value, 6)
        0.7
    """
    area_estimate = estimate(area_replicates(sizes, accuracies, total))
    return FaithfulnessCurve(tuple(sizes), tuple(map(estimate, accuracies)), area_estimate)


def pruned_accuracy(
    metrics: ConditionMetrics | ControlMetrics, total: int, *, measure: str = "accuracy"
) -> tuple[list[int], list[Replicates]]:
    """The points of a curve: the conditions with all other neurons pruned, and `clean`, which keeps all neurons.

    Where several tokens were edited, the curve is of the first of them.

    Args:
        metrics: of one search or control; all devices must call this.
        total: neurons per layer.
        measure: one of the metrics' `measured`.

    Returns:
        Sizes and accuracies as `faithfulness_curve` and `area_replicates` take them.

    Raises:
        ArgumentError: unknown measure.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Condition, ConditionMetrics, pruned_accuracy
        >>> metrics = ConditionMetrics([Condition("clean"), Condition("kept", kept=5, pruned=1.0)], num_classes=2)
        >>> clean, kept = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.25, 0.75]])
        >>> metrics.update([clean, kept], labels=torch.tensor([0]), keys=torch.tensor([0]))
        >>> sizes, accuracy = pruned_accuracy(metrics, total=256)
        >>> sizes, [float(points.values[0]) for points in accuracy]
        ([5, 256], [0.0, 1.0])
    """
    kept = {
        condition.kept: condition
        for condition in whole_conditions(metrics.conditions)
        if condition.pruned == 1 and condition.kept is not None and condition.kept < total
    }
    points = {**dict(sorted(kept.items())), total: Condition("clean")}
    return list(points), [metrics.replicates(condition, measure) for condition in points.values()]
