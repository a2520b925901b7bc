"""Change of predictions by an edit (Wang et al., ICLR 2025, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torchmetrics import Metric

from nplight.metrics.drawing import Drawing, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def probability_deviation(clean: Tensor, edited: Tensor) -> Tensor:
    """Relative change of each image's target probability, as a fraction: (edited - clean) / clean.

    Args:
        clean: (images,), probability before the edit, in [0, 1].
        edited: (images,), probability after the edit.

    Returns:
        (images,); NaN where the clean probability is 0.

    Examples:
        >>> import torch
        >>> from nplight.metrics import probability_deviation
        >>> probability_deviation(torch.tensor([0.5]), torch.tensor([0.4]))
        tensor([-0.2000])
    """
    return torch.where(clean > 0, (edited - clean) / clean, torch.nan)


class ProbabilityDeviation(Metric):
    """Mean relative change of the target probability, as a fraction.

    Images whose clean probability underflows to 0 have no relative change and are left out.

    Examples:
        >>> import torch
        >>> from nplight.metrics import ProbabilityDeviation
        >>> metric = ProbabilityDeviation()
        >>> metric.update(torch.tensor([0.5, 0.8]), torch.tensor([0.4, 0.8]))
        >>> metric.compute()
        tensor(-0.1000)
    """

    full_state_update = False
    higher_is_better = None
    is_differentiable = False
    total: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, clean: Tensor, edited: Tensor) -> None:
        """Add images: clean and edited probability, (images,) each."""
        deviation = probability_deviation(clean, edited)
        self.total += deviation.nansum()
        self.count += (~deviation.isnan()).sum()

    def compute(self) -> Tensor:
        """The mean over images; NaN without images."""
        return self.total / self.count

    def plot(self, val: Tensor | Sequence[Tensor] | None = None, ax: Axes | None = None) -> Drawing:
        """Plot one value, or several over steps, as torchmetrics does; `None`: the result of `compute`."""
        figure, ax = canvas(ax)
        self._plot(val, ax)
        return figure, ax


class AccuracyDeviation(Metric):
    """Accuracy after an edit minus accuracy before it, as a fraction.

    Examples:
        >>> import torch
        >>> from nplight.metrics import AccuracyDeviation
        >>> metric = AccuracyDeviation()
        >>> clean, edited = torch.tensor([[2.0, 1.0], [1.0, 2.0]]), torch.tensor([[2.0, 1.0], [2.0, 1.0]])
        >>> metric.update(clean, edited, torch.tensor([0, 1]))
        >>> metric.compute()
        tensor(-0.5000)
    """

    full_state_update = False
    higher_is_better = None
    is_differentiable = False
    gained: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("gained", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, clean_preds: Tensor, preds: Tensor, target: Tensor) -> None:
        """Add images: scores before and after the edit (images, categories), labels (images,)."""
        self.gained += (preds.argmax(1) == target).sum() - (clean_preds.argmax(1) == target).sum()
        self.count += len(target)

    def compute(self) -> Tensor:
        """The difference of the two accuracies; NaN without images."""
        return self.gained / self.count

    def plot(self, val: Tensor | Sequence[Tensor] | None = None, ax: Axes | None = None) -> Drawing:
        """Plot one value, or several over steps, as torchmetrics does; `None`: the result of `compute`."""
        figure, ax = canvas(ax)
        self._plot(val, ax)
        return figure, ax
