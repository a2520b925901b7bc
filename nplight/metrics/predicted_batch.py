"""What the measures are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class PredictedBatch:
    """What the model predicts for a batch under every condition.

    Attributes:
        probabilities: (images, categories) per condition.
        labels: (images,) int64.
        clean: the position of the unedited condition.
        correct: (images, conditions) float64, 1 where the label is the most probable category, else 0.
        probability: (images, conditions) float64, of the label.
    """

    probabilities: Sequence[Tensor]
    labels: Tensor
    clean: int
    correct: Tensor
    probability: Tensor

    @classmethod
    def of(cls, probabilities: Sequence[Tensor], labels: Tensor, clean: int) -> PredictedBatch:
        """From the probabilities of every condition."""
        correct = torch.stack([scores.argmax(1) == labels for scores in probabilities], 1).double()
        probability = torch.stack([scores.gather(1, labels[:, None])[:, 0] for scores in probabilities], 1).double()
        return cls(probabilities, labels, clean, correct, probability)
