"""A digest by which the images of a run are recognised, in constant memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nplight.seeds import as_words, split_mix

_BITS = 64


@dataclass(slots=True)
class ImageDigest:
    """A digest of a set of images with labels and indices, independent of their order, batches and processes.

    The digest is the sum modulo 2^64 of a hash per image. `+` joins the digests of disjoint sets.

    Attributes:
        images: number of images.
        total: the sum of the hashes.

    Examples:
        >>> from nplight.data import ImageDigest
        >>> ImageDigest() == ImageDigest(images=0, total=0)  # of no images
        True
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
            hashes = split_mix(hashes ^ (as_words(column) if column is not None else np.uint64(0)))
        self.images += len(pixels)
        self.total = (self.total + int(hashes.sum(dtype=np.uint64))) % (1 << _BITS)
