"""The figures of every condition with their replicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nplight.errors import NonFiniteError
from nplight.metrics.bootstrap import BootstrapMetric
from nplight.metrics.deviation import probability_deviation
from nplight.metrics.replicates import Replicates

MEASURES = ("accuracy", "accuracy_macro", "probability", "probability_deviation", "accuracy_deviation")


class ConditionFigures(BootstrapMetric):
    """Every measure under every condition.

    Macro accuracy is the mean over the categories that have images of the accuracy of each. torchmetrics' own also
    counts a category without images, as 0, as soon as an image is taken for it: then the conditions would not average
    over the same categories.

    Its state is conditions x categories x (1 + replicates) float32: 100 MB for 25 x 1,000 x 1,000.

    Args:
        conditions: number of conditions.
        clean: place of the unedited one.
        num_classes: number of categories.
        **kwargs: `replicates`, `seed`, and torchmetrics' own.
    """

    right: Tensor
    tested: Tensor

    def __init__(self, conditions: int, clean: int, num_classes: int, **kwargs: Any) -> None:
        super().__init__((conditions, 3), **kwargs)
        self.clean = clean
        self._shape = (conditions, num_classes, 1 + self.replicates)
        # torchmetrics keeps a second copy of every default, so the large states start as a single 0.
        self.add_state("right", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("tested", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, probabilities: Sequence[Tensor], labels: Tensor, keys: Tensor) -> None:
        """Add images: for every condition (images, categories); labels (images,); keys (images,) int64.

        Raises:
            NonFiniteError: a label's probability is NaN or infinite.
            ArgumentError: `keys` of another kind or number.
        """
        right = torch.stack([scores.argmax(1) == labels for scores in probabilities], 1)
        edited = torch.stack([scores.gather(1, labels[:, None])[:, 0] for scores in probabilities], 1).double()
        broken = (~edited.isfinite()).any(1).nonzero().flatten().tolist()
        if broken:
            raise NonFiniteError("the model gave NaN or infinite probabilities under an edit", broken)
        deviation = probability_deviation(edited[:, self.clean, None], edited)
        weights = self.weights(keys)
        self.add(torch.stack([right.double(), edited, deviation], 2), weights)
        self._grow()
        counts = weights.float()
        self.tested.index_add_(0, labels, counts)
        for place, one in enumerate(right.unbind(1)):
            self.right[place].index_add_(0, labels[one], counts[one])

    def compute(self) -> Replicates:
        """Values (conditions, measures, 1 + replicates), images (conditions, measures), in the order of `MEASURES`."""
        means = self.means()
        accuracy, probability, deviation = means.values.unbind(1)
        # One condition at a time: the quotients of all would need the memory of the state again.
        macro = torch.stack([_over_categories(right, self.tested) for right in self.right])
        values = torch.stack([accuracy, macro, probability, deviation, accuracy - accuracy[self.clean]], 1)
        return Replicates(values, means.images[:, [0, 0, 1, 2, 0]])

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """As in torchmetrics, which calls it before every `compute`; without images the state is all zeros."""
        self._grow()
        super().sync(*args, **kwargs)

    def _grow(self) -> None:
        if self.right.ndim == 0:
            # A tensor made under inference mode could not be updated outside it.
            with torch.inference_mode(False):
                self.right = self.right.new_zeros(self._shape)
                self.tested = self.tested.new_zeros(self._shape[1:])


def _over_categories(right: Tensor, tested: Tensor) -> Tensor:
    """Mean over categories with weight of the share that is right: (categories, …) both -> (…)."""
    return (right.double() / tested).nanmean(0)
