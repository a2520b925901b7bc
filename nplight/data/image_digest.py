"""A digest by which the images of a run are recognised, in constant memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

_Words = np.ndarray[Any, np.dtype[np.uint64]]
_BITS = 64


@dataclass(slots=True)
class ImageDigest:
    """A digest of a set of images with labels and indices, independent of their order, batches and processes.

    The digest is the sum modulo 2^64 of a hash per image. `+` joins the digests of disjoint sets.

    Attributes:
        images: number of images.
        total: the sum of the hashes.
    """

    images: int = 0
    total: int = 0

    def __add__(self, other: ImageDigest) -> ImageDigest:
        return ImageDigest(self.images + other.images, (self.total + other.total) % (1 << _BITS))

    def __str__(self) -> str:
        return f"{self.images}, digest {self.total:016x}"

    def update(self, index: Tensor | None, labels: Tensor | None, checksums: Tensor | Sequence[int]) -> None:
        """Add images.

        Args:
            index: (images,) int64; `None`: images are distinguished by pixels and label alone.
            labels: (images,) int64, or `None`.
            checksums: of each image's pixels, from `nplight.seeds.checksums`.
        """
        pixels = torch.as_tensor(checksums, dtype=torch.int64)
        hashes = np.zeros(len(pixels), np.uint64)
        for column in (index, labels, pixels):
            hashes = _mixed(hashes ^ (_words(column) if column is not None else np.uint64(0)))
        self.images += len(pixels)
        self.total = (self.total + int(hashes.sum(dtype=np.uint64))) % (1 << _BITS)


def _words(values: Tensor) -> _Words:
    return values.detach().cpu().to(torch.int64).numpy().view(np.uint64)


def _mixed(words: _Words) -> _Words:
    """SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): flipping one input bit flips about half of the output bits."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
