"""Scaling a head until the label has a given probability."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_HALVINGS = 60
_LARGEST = 1e3  # times the head's own weights


def log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """log(p / (1 − p)) of the labels' probabilities p, exact also where p rounds to 1.

    Args:
        logits: (images, categories).
        labels: (images,) int64.

    Returns:
        (images,).
    """
    of_label = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -math.inf)
    return of_label[:, 0] - others.logsumexp(1)


def scale_head(head: nn.Linear, logits: Tensor, labels: Tensor, probability: float) -> None:
    """Multiply a head's weights so that the mean log-odds of the labels are those of `probability`, by bisection.

    Args:
        head: without a bias of its own.
        logits: (images, categories), what it gives before.
        labels: (images,) int64, the category of the largest logit of each image.
        probability: in (1 / categories, 1).
    """
    wanted = math.log(probability) - math.log1p(-probability)
    low, high = 0.0, _LARGEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if log_odds(middle * logits, labels).mean() < wanted:
            low = middle
        else:
            high = middle
    with torch.no_grad():
        head.weight.mul_(high)
