"""How much accuracy is left as fewer and fewer neurons are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from nplight.errors import ArgumentError
from nplight.metrics.condition_metrics import ConditionMetrics
from nplight.metrics.conditions import Condition
from nplight.metrics.replicates import Estimate, Replicates, estimate


def area(sizes: Sequence[int], accuracies: Tensor, total: int) -> Tensor:
    """Mean height of the curve of accuracy against log(neurons kept), by the trapezoid rule.

    The axis is logarithmic because a path is a handful of neurons: on a linear one, from 1 to 3,072, sizes up to 50
    would be 2% of the area, and every ranking would look alike.

    Args:
        sizes: neurons a layer kept, at least 1, increasing, the last of them `total`: what is kept when nothing is
            pruned, so that the last accuracy is the clean one.
        accuracies: (sizes, …), in [0, 1].
        total: neurons in a layer.

    Returns:
        (…) in [0, 1]: 1 if accuracy is 1 at every size.

    Raises:
        ArgumentError: sizes that do not increase from at least 1 to `total`, or another number of accuracies.
    """
    increasing = all(low < high for low, high in pairwise(sizes))
    if len(sizes) < 2 or sizes[0] < 1 or sizes[-1] != total or not increasing:
        raise ArgumentError(
            f"`sizes` must be at least two, increase from 1 or more, and end with `total` = {total}, "
            f"where the accuracy is the clean one; got {list(sizes)}"
        )
    if len(accuracies) != len(sizes):
        raise ArgumentError(f"`accuracies` must be one for each of the {len(sizes)} sizes, got {len(accuracies)}")
    places = torch.tensor(sizes, dtype=torch.float64, device=accuracies.device).log()
    return torch.trapezoid(accuracies.double(), places, dim=0) / (places[-1] - places[0])


def area_replicates(sizes: Sequence[int], accuracies: Sequence[Replicates], total: int) -> Replicates:
    """`area` with its replicates, for `estimate`, or for `difference` with that of another method or of `random`.

    Args:
        sizes: as in `area`.
        accuracies: for each size, measured on the same images with the same seed.
        total: as in `area`.

    Raises:
        ArgumentError: as `area`.
    """
    values = torch.stack([one.values for one in accuracies])
    return Replicates(area(sizes, values, total), torch.stack([one.images for one in accuracies]).min())


@dataclass(frozen=True, slots=True)
class FaithfulnessCurve:
    """Accuracy against neurons kept, from few to all.

    Attributes:
        sizes: neurons a layer kept; the last is all of them.
        accuracy: for each size.
        area: under the curve, the sizes on a logarithmic axis, in [0, 1].
    """

    sizes: tuple[int, ...]
    accuracy: tuple[Estimate, ...]
    area: Estimate


def faithfulness_curve(sizes: Sequence[int], accuracies: Sequence[Replicates], total: int) -> FaithfulnessCurve:
    """The curve with its area and intervals; arguments and errors as `area_replicates`."""
    under = estimate(area_replicates(sizes, accuracies, total))
    return FaithfulnessCurve(tuple(sizes), tuple(map(estimate, accuracies)), under)


def pruned_accuracy(
    metrics: ConditionMetrics, total: int, *, measure: str = "accuracy"
) -> tuple[list[int], list[Replicates]]:
    """The points of a curve: the conditions whose other neurons are all pruned, and `clean`, which keeps all.

    Args:
        metrics: of one method; every device must call this.
        total: neurons in a layer.
        measure: one of `MEASURES`.

    Returns:
        Sizes and accuracies as `faithfulness_curve` and `area_replicates` take them.

    Raises:
        ArgumentError: another measure.
    """
    kept = {
        one.kept: one for one in metrics.conditions if one.pruned == 1 and one.kept is not None and one.kept < total
    }
    points = {**dict(sorted(kept.items())), total: Condition("clean")}
    return list(points), [metrics.replicates(condition, measure) for condition in points.values()]
