"""The normalisation of images, undone and redone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nplight.errors import ArgumentError, described

_TOLERANCE = 0.25
"""How far pixels may be outside [0, 1]: resizing with a bicubic filter overshoots."""


@dataclass(frozen=True, slots=True)
class PixelScale:
    """Mean and standard deviation by which pixels in [0, 1] were normalised.

    Attributes:
        mean: subtracted, one number per channel.
        std: the divisor, one number per channel, above 0.

    Raises:
        ArgumentError: a value breaks its rule.

    Examples:
        >>> from nplight.data import PixelScale
        >>> PixelScale(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        PixelScale(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            value = getattr(self, name)
            numbers = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
            if not numbers or not all(_is_number(number) for number in numbers):
                raise ArgumentError(f"`{name}` must be a number for each channel, got {described(value)}")
            object.__setattr__(self, name, tuple(map(float, numbers)))
        if len(self.mean) != len(self.std):
            raise ArgumentError(
                f"`mean` and `std` must be of as many channels, got {len(self.mean)} and {len(self.std)}"
            )
        if min(self.std) <= 0:
            raise ArgumentError(f"`std` must be above 0 for each channel, got {self.std}")

    def pixels(self, images: Tensor) -> Tensor:
        """Normalised images (images, channels, height, width) -> pixels in [0, 1], in the dtype of the images.

        Raises:
            ArgumentError: the images have other channels, or were normalised by other numbers.
        """
        if images.shape[1] != len(self.mean):
            raise ArgumentError(
                f"`mean` and `std` must be of the images' {images.shape[1]} channels, got {len(self.mean)} numbers"
            )
        pixels = images * self._columns(self.std, images) + self._columns(self.mean, images)
        low, high = pixels.min().item(), pixels.max().item()
        if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):
            raise ArgumentError(
                f"`mean` {self.mean} and `std` {self.std} must be those that the images were normalised by, to give "
                f"pixels in [0, 1], but they give {low:.3g} … {high:.3g}; set `mean` and `std`"
            )
        return pixels.clamp(0, 1)

    def normalised(self, pixels: Tensor) -> Tensor:
        """Pixels (images, channels, height, width) in [0, 1] -> normalised images."""
        return (pixels - self._columns(self.mean, pixels)) / self._columns(self.std, pixels)

    @staticmethod
    def _columns(values: tuple[float, ...], images: Tensor) -> Tensor:
        return torch.tensor(values, dtype=images.dtype, device=images.device)[:, None, None]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
