"""All measures under all conditions, with replicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nplight.errors import NonFiniteError
from nplight.metrics.bootstrap import BootstrapMetric
from nplight.metrics.measures import MEASURES
from nplight.metrics.predicted_batch import PredictedBatch
from nplight.metrics.replicates import Replicates


class ConditionMeasures(BootstrapMetric):
    """All measures of `MEASURES` under all conditions.

    A mean over categories is taken over the categories with images. torchmetrics' macro accuracy also counts a category
    without images, as 0, once an image is classified as it, so that conditions would average over different categories.

    The state of a measure over categories is conditions x categories x (1 + replicates) float32: 100 MB for
    25 x 1,000 x 1,000.

    Args:
        conditions: number of conditions.
        clean: position of the unedited condition.
        num_classes: number of categories.
        **kwargs: `replicates`, `seed`, and those of torchmetrics' `Metric`.
    """

    sums: Tensor
    tested: Tensor

    def __init__(self, conditions: int, clean: int, num_classes: int, **kwargs: Any) -> None:
        measures = tuple(MEASURES.values())
        over_images = [measure for measure in measures if measure.over == "images"]
        super().__init__((conditions, len(over_images)), **kwargs)
        self.clean, self.measures, self._over_images = clean, measures, over_images
        self._over_categories = [measure for measure in measures if measure.over == "categories"]
        self._shape = (len(self._over_categories), conditions, num_classes, 1 + self.replicates)
        # torchmetrics keeps a second copy of every default, so the large states start as a single 0.
        self.add_state("sums", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("tested", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, probabilities: Sequence[Tensor], labels: Tensor, keys: Tensor) -> None:
        """Add images: per condition (images, categories); labels (images,); keys (images,) int64.

        Raises:
            NonFiniteError: a label's probability is NaN or infinite.
            ArgumentError: `keys` has another dtype or length.
        """
        batch = PredictedBatch.of(probabilities, labels, self.clean)
        non_finite = (~batch.probability.isfinite()).any(1).nonzero().flatten().tolist()
        if non_finite:
            raise NonFiniteError("the model gave NaN or infinite probabilities under an edit", non_finite)
        weights = self.weights(keys)
        self.add(torch.stack([measure.per_image(batch) for measure in self._over_images], 2), weights)
        self._grow()
        counts = weights.float()
        self.tested.index_add_(0, labels, counts)
        for sums, measure in zip(self.sums, self._over_categories):
            for total, values in zip(sums, measure.per_image(batch).float().unbind(1)):
                total.index_add_(0, labels, values[:, None] * counts)

    def compute(self) -> Replicates:
        """Values (conditions, measures, 1 + replicates), images (conditions, measures), in the order of `MEASURES`."""
        means = self.means()
        columns = {measure.name: means.of((slice(None), number)) for number, measure in enumerate(self._over_images)}
        tested = self.tested[:, 0].double().sum().long()
        for sums, measure in zip(self.sums, self._over_categories):
            # One condition at a time: the quotients of all conditions would need as much memory as the state.
            values = torch.stack([_mean_over_categories(total, self.tested) for total in sums])
            columns[measure.name] = Replicates(values, tested.expand(len(values)))
        ordered = [columns[measure.name] for measure in self.measures]
        return Replicates(*(torch.stack(parts, 1) for parts in zip(*ordered)))

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """As in torchmetrics, which calls it before each `compute`; without images the state is all zeros."""
        self._grow()
        super().sync(*args, **kwargs)

    def _grow(self) -> None:
        if self.tested.ndim == 0:
            # A tensor made under inference mode could not be updated outside it.
            with torch.inference_mode(False):
                self.sums = self.sums.new_zeros(self._shape)
                self.tested = self.tested.new_zeros(self._shape[2:])


def _mean_over_categories(sums: Tensor, tested: Tensor) -> Tensor:
    """Mean of the categories' means over the categories with weight: (categories, …) both -> (…)."""
    return (sums.double() / tested).nanmean(0)
