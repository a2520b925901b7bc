"""How much of a known path a method finds, per image and layer."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.errors import ArgumentError
from nplight.metrics import path_agreement


def path_recall(neurons: Tensor, truth: Tensor) -> Tensor:
    """Share of the planted neurons that are on the found path.

    Args:
        neurons: (images, layers, K) int64, the found path.
        truth: (images, layers, M) int64, the planted neurons.

    Returns:
        (images, layers) float64 in [0, 1].

    Raises:
        ArgumentError: different images or layers, or paths without neurons.
    """
    return path_agreement(neurons, truth) * min(neurons.shape[-1], truth.shape[-1]) / truth.shape[-1]


def path_precision(neurons: Tensor, truth: Tensor) -> Tensor:
    """Share of the found path's neurons that are planted; arguments, result and errors as of `path_recall`."""
    return path_agreement(neurons, truth) * min(neurons.shape[-1], truth.shape[-1]) / neurons.shape[-1]


def ranking_auroc(ranking: Tensor, scores: Tensor, truth: Tensor, *, width: int) -> Tensor:
    """Area under the ROC curve of a layer's ranking: the chance that a planted neuron scores above another one.

    Equal scores count one half, and so do neurons that are not ranked, which come after all others. In closed form:
    torchmetrics' own takes the scores of one layer and image at a time and passes them through a sigmoid, in which
    small ones become equal.

    Args:
        ranking: (images, layers, R) int64, candidates of each layer.
        scores: (images, layers, R), their scores.
        truth: (images, layers, K) int64, the planted neurons, distinct in a layer.
        width: neurons in a layer, more than K.

    Returns:
        (images, layers) float64 in [0, 1]; 0.5 for a ranking at random.

    Raises:
        ArgumentError: different shapes.
    """
    if ranking.ndim != 3 or ranking.shape != scores.shape or ranking.shape[:2] != truth.shape[:2]:
        raise ArgumentError(
            f"`ranking` and `scores` must be (images, layers, R) of the images and layers of `truth`, got "
            f"{tuple(ranking.shape)}, {tuple(scores.shape)} and {tuple(truth.shape)}"
        )
    images, layers, top_k = truth.shape
    values = torch.full((images, layers, width), -torch.inf, dtype=torch.float64, device=ranking.device)
    values.scatter_(2, ranking, scores.double())
    others = torch.ones_like(values, dtype=torch.bool).scatter_(2, truth, False)[..., None, :]
    planted, all_values = values.gather(2, truth)[..., None], values[..., None, :]
    won = (planted > all_values).double() + 0.5 * (planted == all_values).double()
    return (won * others).sum((2, 3)) / (top_k * (width - top_k))
