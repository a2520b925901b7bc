"""What the measures are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

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
        logits: (images, categories) per condition, in the dtype of the model's head, at least float32; `None` where
            only probabilities are known.

    Examples:
        >>> import torch
        >>> from nplight.metrics import PredictedBatch
        >>> clean, removed = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.25, 0.75]])
        >>> batch = PredictedBatch.of([clean, removed], labels=torch.tensor([0]), clean=0)
        >>> batch.probability.tolist(), batch.correct.tolist()
        ([[0.75, 0.25]], [[1.0, 0.0]])
    """

    probabilities: Sequence[Tensor]
    labels: Tensor
    clean: int
    correct: Tensor
    probability: Tensor
    logits: Sequence[Tensor] | None = None

    @classmethod
    def of(cls, probabilities: Sequence[Tensor], labels: Tensor, clean: int) -> PredictedBatch:
        """From the probabilities of every condition."""
        return cls(probabilities, labels, clean, *_of_labels(probabilities, labels))

    @classmethod
    def of_logits(cls, logits: Sequence[Tensor], labels: Tensor, clean: int) -> PredictedBatch:
        """From the logits of every condition."""
        probabilities = _Probabilities(logits)
        return cls(probabilities, labels, clean, *_of_labels(probabilities, labels), logits)


class _Probabilities(Sequence[Tensor]):
    """The softmax of each condition's logits, computed when it is asked for, so that a batch is not held twice."""

    def __init__(self, logits: Sequence[Tensor]) -> None:
        self._logits = logits

    @overload
    def __getitem__(self, index: int) -> Tensor: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Tensor]: ...

    def __getitem__(self, index: int | slice) -> Tensor | Sequence[Tensor]:
        if isinstance(index, slice):
            return _Probabilities(self._logits[index])
        return self._logits[index].softmax(-1)

    def __len__(self) -> int:
        return len(self._logits)


def _of_labels(probabilities: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, Tensor]:
    """Whether the label is the most probable category, and its probability: (images, conditions) float64 each."""
    columns = [(scores.argmax(1) == labels, scores.gather(1, labels[:, None])[:, 0]) for scores in probabilities]
    correct, probability = (torch.stack(column, 1).double() for column in zip(*columns))
    return correct, probability
