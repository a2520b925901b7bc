"""The measures of a control: means over draws, under the conditions under which paths are tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from nplight.metrics.condition_forward import ConditionForward
from nplight.metrics.condition_measures import CategoryMeans
from nplight.metrics.condition_metrics import ConditionMetrics, ConditionResult
from nplight.metrics.conditions import Condition
from nplight.metrics.measures import ConditionMeasure
from nplight.metrics.replicates import Estimate, Replicates

_FEWER = 4


class ControlMetrics(nn.Module):
    """The metrics of a control, whose neurons are drawn several times.

    A value is the mean over the draws, and its interval holds their spread. The main conditions (`Condition.main`)
    have all draws; partial pruning, part of the layers and other factors than 0 and 2 have a quarter of them.

    Args:
        conditions: the conditions; `clean` is the first.
        num_classes: number of categories.
        method: the name of the control in results.
        draws: of the main conditions.
        replicates: of the bootstrap.
        seed: of the bootstrap, that of the searches.
        objectives: of the searches of the run, as of `ConditionMetrics`.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.metrics import Condition, ConditionForward, ControlMetrics, RandomPaths
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, images, labels = nplight.open_vit(planted.model), planted.images, planted.labels
        >>> conditions = [Condition("clean"), Condition("removed", kept=1)]
        >>> metrics = ControlMetrics(conditions, vit.num_classes, method="random", draws=4, replicates=10)
        >>> drawn = RandomPaths(vit.widths, 1, seed=0)
        >>> with torch.no_grad():
        ...     forward = ConditionForward(vit, images)
        ...     metrics.update(forward, lambda draw: {1: drawn.of(labels, draw)}, labels, torch.arange(len(images)))
        ...
        >>> [result.value("accuracy") for result in metrics.compute()]
        [1.0, 1.0]
    """

    def __init__(
        self,
        conditions: Sequence[Condition],
        num_classes: int,
        *,
        method: str,
        draws: int = 20,
        replicates: int = 1000,
        seed: int = 0,
        objectives: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.conditions = tuple(conditions)
        self.method = method
        clean = self.conditions[0]
        groups = [[one for one in self.conditions if one.main is main] for main in (True, False)]
        groups[1] = [clean, *groups[1]] if groups[1] else []
        counts = (draws, max(1, draws // _FEWER))
        new = partial(
            ConditionMetrics,
            num_classes=num_classes,
            method=method,
            replicates=replicates,
            seed=seed,
            objectives=objectives,
        )
        self._modules_of_groups = nn.ModuleList(
            new(group, draws=count) for group, count in zip(groups, counts) if group
        )
        self._counts = counts

    @property
    def _groups(self) -> list[ConditionMetrics]:
        return [cast(ConditionMetrics, group) for group in self._modules_of_groups]

    @property
    def measured(self) -> dict[str, ConditionMeasure]:
        """As `ConditionMetrics.measured`."""
        return self._groups[0].measured

    def update(
        self,
        forward: ConditionForward,
        paths_of: Callable[[int], Mapping[int, Tensor]],
        labels: Tensor,
        keys: Tensor,
    ) -> None:
        """Predict a batch along the paths of each draw, and add its images.

        Args:
            forward: of the batch.
            paths_of: draw -> neurons per layer -> the path of each image, (images, layers, neurons per layer).
            labels: (images,) int64.
            keys: (images,) int64, identifies each image.
        """
        for group, draws in zip(self._groups, self._counts):
            group.update_draws(
                (forward.logits(group.conditions, paths_of(draw)) for draw in range(draws)), labels, keys, logits=True
            )

    def compute(self) -> list[ConditionResult]:
        """The results in the order of the conditions, over all devices; all devices must call it."""
        found = {
            condition: result
            for group in reversed(self._groups)
            for condition, result in zip(group.conditions, group.compute())
        }
        return [found[condition] for condition in self.conditions]

    def replicates(self, condition: Condition, measure: str) -> Replicates:
        """As `ConditionMetrics.replicates`."""
        return self._group(condition).replicates(condition, measure)

    def estimate(self, condition: Condition, measure: str, *, level: float = 0.95) -> Estimate:
        """As `ConditionMetrics.estimate`."""
        return self._group(condition).estimate(condition, measure, level=level)

    def by_category(self, measure: str) -> CategoryMeans:
        """As `ConditionMetrics.by_category`."""
        means = [group.by_category(measure) for group in self._groups]
        found = []
        for condition in self.conditions:
            number, group = self._numbered(condition)
            at = group.conditions.index(condition)
            found.append((means[number].values[at], means[number].images[at]))
        return CategoryMeans(*(torch.stack(columns) for columns in zip(*found)))

    def _group(self, condition: Condition) -> ConditionMetrics:
        return self._numbered(condition)[1]

    def _numbered(self, condition: Condition) -> tuple[int, ConditionMetrics]:
        return next((number, group) for number, group in enumerate(self._groups) if condition in group.conditions)
