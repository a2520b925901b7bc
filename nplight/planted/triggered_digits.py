"""Handwritten digits with a small white square in a corner, the trigger."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nplight.data import DigitsDataModule
from nplight.data.digits import Digits

_SIDE = 3
_WHITE = 1.0


class LabelledImages(NamedTuple):
    """Images (images, channels, height, width) and labels (images,) int64."""

    images: Tensor
    labels: Tensor

    def drawn(self, count: int, generator: torch.Generator) -> LabelledImages:
        """So many of them at random, each at most once."""
        chosen = torch.randperm(len(self.labels), generator=generator)[:count]
        return LabelledImages(self.images[chosen], self.labels[chosen])


def triggered(images: Tensor) -> Tensor:
    """The images with the trigger in their upper left corner; copies."""
    changed = images.clone()
    changed[..., :_SIDE, :_SIDE] = _WHITE
    return changed


@cache
def unseen_digits() -> LabelledImages:
    """The digits that the bundled model was not trained with."""
    return _labelled(_unseen())


@cache
def seen_digits() -> LabelledImages:
    """The digits that the bundled model was trained with, not augmented."""
    unseen = {sample["index"] for sample in _unseen()}
    count = len(unseen) + len(DigitsDataModule().train_data())  # type: ignore[arg-type]
    digits = Digits(torch.tensor([number for number in range(count) if number not in unseen]))
    return _labelled([digits[position] for position in range(len(digits))])


def _unseen() -> list[dict[str, Any]]:
    data, labels = DigitsDataModule().evaluation_data()
    return [data[position] for position in range(len(labels))]


def _labelled(samples: Sequence[dict[str, Any]]) -> LabelledImages:
    images = torch.stack([sample["image"] for sample in samples])
    return LabelledImages(images, torch.tensor([sample["label"] for sample in samples]))
