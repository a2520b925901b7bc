"""Images that show the pattern of their category in one patch, and noise everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nplight.planted.structures import NUM_CLASSES

IMAGE_SIZE = 8
PATCH_SIZE = 4
NOISES = 8
CHANNELS = 3

_PIXELS = CHANNELS * PATCH_SIZE**2
_NOISE_LEVEL = 0.3


@dataclass(frozen=True, slots=True)
class PixelPatterns:
    """Orthogonal patterns of a patch's pixels, each of mean square 1.

    Attributes:
        categories: (categories, pixels), that of each category.
        noises: (noises, pixels), those that say nothing of the category.
    """

    categories: Tensor
    noises: Tensor

    @classmethod
    def drawn(cls, generator: torch.Generator) -> PixelPatterns:
        """Random patterns."""
        drawn = torch.randn(_PIXELS, NUM_CLASSES + NOISES, generator=generator, dtype=torch.float64)
        patterns = torch.linalg.qr(drawn).Q.T * _PIXELS**0.5
        return cls(patterns[:NUM_CLASSES], patterns[NUM_CLASSES:])

    @property
    def readers(self) -> Tensor:
        """(categories + noises, channels, height, width): how much of each pattern a patch holds, as filters."""
        return torch.cat([self.categories, self.noises]).view(-1, CHANNELS, PATCH_SIZE, PATCH_SIZE) / _PIXELS


def patterned_images(patterns: PixelPatterns, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images of all categories in turn.

    An image's pattern is in one patch, drawn at random, 0.8 to 1.2 times as strong as the pattern itself.

    Args:
        patterns: of the pixels.
        count: number of images.
        generator: draws patches, strengths and noise.

    Returns:
        Images (count, channels, height, width) float64 and labels (count,) int64.
    """
    grid = IMAGE_SIZE // PATCH_SIZE
    labels = torch.arange(count) % NUM_CLASSES
    strength = 0.8 + 0.4 * torch.rand(count, generator=generator, dtype=torch.float64)
    patch = torch.randint(grid**2, (count,), generator=generator)
    levels = _NOISE_LEVEL * torch.randn(count, grid**2, NOISES, generator=generator, dtype=torch.float64)
    patches = levels @ patterns.noises  # (images, patches, pixels)
    patches[torch.arange(count), patch] += strength[:, None] * patterns.categories[labels]
    tiles = patches.unflatten(2, (CHANNELS, PATCH_SIZE, PATCH_SIZE)).unflatten(1, (grid, grid))
    return tiles.permute(0, 3, 1, 4, 2, 5).reshape(count, CHANNELS, IMAGE_SIZE, IMAGE_SIZE), labels
