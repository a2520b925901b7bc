"""How much of a known path a method finds, per image and layer."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.errors import ArgumentError


def path_recall(neurons: Tensor, truth: Tensor) -> Tensor:
    """Share of the planted neurons that are on the found path.

    Args:
        neurons: (images, layers, K) int64, the found path.
        truth: (images, layers, M) int64, the planted neurons; -1 where a layer has fewer.

    Returns:
        (images, layers) float64 in [0, 1]; NaN for a layer without planted neurons.

    Raises:
        ArgumentError: different images or layers, or paths without neurons.

    Examples:
        >>> import torch
        >>> from nplight.planted import path_recall
        >>> path_recall(torch.tensor([[[0], [2]]]), torch.tensor([[[0], [3]]]))
        tensor([[1., 0.]], dtype=torch.float64)
    """
    return _hits(neurons, truth) / (truth >= 0).sum(-1)


def path_precision(neurons: Tensor, truth: Tensor) -> Tensor:
    """Share of the found path's neurons that are planted; arguments, result and errors as of `path_recall`.

    Examples:
        >>> import torch
        >>> from nplight.planted import path_precision
        >>> path_precision(torch.tensor([[[0, 5], [2, 6]]]), torch.tensor([[[0], [2]]]))
        tensor([[0.5000, 0.5000]], dtype=torch.float64)
    """
    return (_hits(neurons, truth) / neurons.shape[-1]).where((truth >= 0).any(-1), torch.nan)


def ranking_auroc(ranking: Tensor, scores: Tensor, truth: Tensor, *, width: int) -> Tensor:
    """Area under the ROC curve of a layer's ranking: the chance that a planted neuron scores above another one.

    Equal scores count one half, and so do neurons that are not ranked, which come after all others. In closed form:
    torchmetrics' own takes the scores of one layer and image at a time and passes them through a sigmoid, in which
    small ones become equal.

    Args:
        ranking: (images, layers, R) int64, candidates of each layer.
        scores: (images, layers, R), their scores.
        truth: (images, layers, K) int64, the planted neurons, distinct in a layer; -1 where a layer has fewer.
        width: neurons in a layer, more than K.

    Returns:
        (images, layers) float64 in [0, 1]; 0.5 for a ranking at random, NaN for a layer without planted neurons.

    Raises:
        ArgumentError: different shapes.

    Examples:
        >>> import torch
        >>> from nplight.planted import ranking_auroc
        >>> ranking, scores = torch.tensor([[[2, 0]]]), torch.tensor([[[3.0, 1.0]]])
        >>> ranking_auroc(ranking, scores, torch.tensor([[[2]]]), width=4)
        tensor([[1.]], dtype=torch.float64)
    """
    if ranking.ndim != 3 or ranking.shape != scores.shape or ranking.shape[:2] != truth.shape[:2]:
        raise ArgumentError(
            f"`ranking` and `scores` must be (images, layers, R) of the images and layers of `truth`, got "
            f"{tuple(ranking.shape)}, {tuple(scores.shape)} and {tuple(truth.shape)}"
        )
    values = torch.full((*truth.shape[:2], width), -torch.inf, dtype=torch.float64, device=ranking.device)
    values.scatter_(2, ranking, scores.double())
    is_planted = (truth[..., None] == torch.arange(width, device=truth.device)).any(2)
    counted, neuron = truth >= 0, truth.clamp(min=0)
    planted, all_values = values.gather(2, neuron)[..., None], values[..., None, :]
    won = (planted > all_values).double() + 0.5 * (planted == all_values).double()
    compared = counted[..., None] & ~is_planted[..., None, :]
    return (won * compared).sum((2, 3)) / compared.sum((2, 3))


def _hits(neurons: Tensor, truth: Tensor) -> Tensor:
    """How many of the planted neurons are on the found path, (images, layers) float64."""
    if neurons.ndim != 3 or neurons.shape[:2] != truth.shape[:2] or 0 in (neurons.shape[-1], truth.shape[-1]):
        raise ArgumentError(
            f"`neurons` and `truth` must be (images, layers, K) and (images, layers, M) of the same images and layers, "
            f"K and M >= 1, got {tuple(neurons.shape)} and {tuple(truth.shape)}"
        )
    return (truth[..., None] == neurons[..., None, :]).any(-1).sum(-1, dtype=torch.float64)
