"""Selectivity: accuracy of each category under its own path, compared with the paths of other categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from nplight.errors import ArgumentError, check_at_least
from nplight.metrics.bootstrap import BootstrapMetric
from nplight.metrics.drawing import Drawing, draw_matrix
from nplight.metrics.replicates import Estimate, Replicates, difference, estimate
from nplight.paths import check_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class SelectivityMatrix(NamedTuple):
    """The accuracy of each category under each category's path.

    Attributes:
        accuracy: (categories, categories): [c, p] for images of c under the path of p; NaN if not tested.
        images: (categories,) int64, images per category, the maximum over paths.
        own: accuracy under the path of an image's own category, mean over categories, with replicates.
        others: accuracy under the paths of the other categories, likewise.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Selectivity, estimate
        >>> metric = Selectivity(num_classes=2)
        >>> predicted = torch.tensor([[0, 0], [0, 1]])  # (paths, images)
        >>> metric.update(torch.tensor([0, 1]), predicted, labels=torch.tensor([0, 1]), keys=torch.tensor([0, 1]))
        >>> matrix = metric.compute()
        >>> matrix.accuracy.tolist(), estimate(matrix.own).value, estimate(matrix.others).value
        ([[1.0, 1.0], [0.0, 1.0]], 1.0, 0.5)
    """

    accuracy: Tensor
    images: Tensor
    own: Replicates
    others: Replicates


class Selectivity(BootstrapMetric):
    """Accuracy of each category under each category's path, with replicates of the diagonal and of the rest.

    Each image should be tested under each path. Otherwise a category's `others` weights each path by the number of
    images tested under it. State: 4 x categories x (1 + replicates) and 2 x categories² numbers.

    Args:
        num_classes: number of categories.
        **kwargs: `replicates`, `seed`, and those of torchmetrics' `Metric`.

    Raises:
        ArgumentError: there are fewer than two categories.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Selectivity
        >>> metric = Selectivity(num_classes=2)
        >>> labels, keys = torch.tensor([0, 1]), torch.tensor([0, 1])
        >>> metric.update(torch.tensor([0, 1]), torch.tensor([[0, 0], [1, 1]]), labels, keys)
        >>> metric.compute().accuracy
        tensor([[1., 0.],
                [0., 1.]])
    """

    cells: Tensor
    sums: Tensor

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        check_at_least("num_classes", num_classes, 2)
        super().__init__(**kwargs)
        self.num_classes = num_classes
        cells = torch.zeros(2, num_classes * num_classes, dtype=torch.int64)
        sums = torch.zeros(4, num_classes, 1 + self.replicates, dtype=torch.float64)
        self.add_state("cells", cells, dist_reduce_fx="sum")
        self.add_state("sums", sums, dist_reduce_fx="sum")

    def update(self, paths: int | Tensor, preds: Tensor, labels: Tensor, keys: Tensor) -> None:
        """Add images under one or several paths.

        Args:
            paths: the category whose path was used, or (paths,) int64 for several.
            preds: (images,) or (paths, images) int64, the category predicted under each path.
            labels: (images,) int64.
            keys: (images,) int64, identifies each image.

        Raises:
            ArgumentError: a shape or dtype is wrong, or paths or labels are out of range.
        """
        paths = torch.as_tensor(paths, device=labels.device).reshape(-1)
        preds = preds[None] if preds.ndim == 1 else preds
        check_labels(labels, len(labels), self.num_classes)
        _check_tested(paths, preds, len(labels), self.num_classes)
        correct, on_diagonal = preds == labels, paths[:, None] == labels
        cell = labels * self.num_classes + paths[:, None]
        self.cells.index_add_(1, cell.flatten(), torch.stack([correct, torch.ones_like(correct)]).flatten(1).long())
        counted = torch.stack([correct & on_diagonal, on_diagonal, correct & ~on_diagonal, ~on_diagonal]).sum(1)
        self.sums.index_add_(1, labels, counted[:, :, None] * self.weights(keys))

    def compute(self) -> SelectivityMatrix:
        """The matrix over all devices; all devices must call it."""
        correct, tested = self.cells.view(2, self.num_classes, self.num_classes)
        images = tested.max(1).values
        diagonal, others = ((self.sums[part] / self.sums[part + 1]).nanmean(0) for part in (0, 2))
        total = images.sum()
        own, rest = (Replicates(shares, total, interval="share") for shares in (diagonal, others))
        return SelectivityMatrix(correct / tested, images, own, rest)

    def plot(self, val: SelectivityMatrix | None = None, ax: Axes | None = None) -> Drawing:
        """Plot the matrix as a heat map (%); `val=None`: the result of `compute`; `ax=None`: a new figure."""
        matrix: SelectivityMatrix = self.compute() if val is None else val
        return draw_matrix(
            100 * matrix.accuracy, ax, rows="images of category", columns="path of category", unit="top-1 accuracy, %"
        )


@dataclass(frozen=True, slots=True)
class SelectivitySummary:
    """Mean accuracies with equal weights of categories, and intervals over images.

    Attributes:
        own: under the path of the image's own category: the mean of the matrix's diagonal.
        others: under the paths of other categories: the mean of the rest.
        difference: own - others, paired.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Selectivity, selectivity_summary
        >>> metric = Selectivity(num_classes=2)
        >>> predicted = torch.tensor([[0, 0], [0, 1]])  # (paths, images)
        >>> metric.update(torch.tensor([0, 1]), predicted, labels=torch.tensor([0, 1]), keys=torch.tensor([0, 1]))
        >>> summary = selectivity_summary(metric.compute())
        >>> summary.own.value, summary.others.value
        (1.0, 0.5)
    """

    own: Estimate
    others: Estimate
    difference: Estimate


def selectivity_summary(matrix: SelectivityMatrix) -> SelectivitySummary:
    """The diagonal compared with the rest.

    Examples:
        >>> import torch
        >>> from nplight.metrics import Selectivity, selectivity_summary
        >>> metric = Selectivity(num_classes=2)
        >>> predicted = torch.tensor([[0, 0], [0, 1]])  # (paths, images)
        >>> metric.update(torch.tensor([0, 1]), predicted, labels=torch.tensor([0, 1]), keys=torch.tensor([0, 1]))
        >>> selectivity_summary(metric.compute()).difference.value
        0.5
    """
    return SelectivitySummary(estimate(matrix.own), estimate(matrix.others), difference(matrix.own, matrix.others))


def _check_tested(paths: Tensor, preds: Tensor, images: int, num_classes: int) -> None:
    if preds.is_floating_point() or tuple(preds.shape) != (len(paths), images):
        raise ArgumentError(
            f"`preds` must be the predicted categories, ({len(paths)} paths, {images} images) int64, "
            f"got {tuple(preds.shape)} {preds.dtype}"
        )
    outside = paths[(paths < 0) | (paths >= num_classes)].tolist()
    if outside:
        raise ArgumentError(f"`paths` must be in 0 … {num_classes - 1}, got {outside[0]}")
