"""Perturbations of images, with five severities each, after Hendrycks and Dietterich (ICLR 2019).

The levels of noise and JPEG are theirs. Blur grows with the root of the shorter edge, in pixels, and is theirs at 224:
a width in proportion to the edge would not change small images. Brightness is a factor here.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

from nplight.data.pixel_scale import PixelScale
from nplight.errors import ArgumentError, check_choice
from nplight.seeds import seeded_generator

SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Perturbation:
    """A way to perturb an image.

    Attributes:
        levels: one per severity.
        unit: what a level is, for people.
        apply: takes pixels in [0, 1], (channels, height, width), a level and a generator; returns pixels.
    """

    levels: tuple[float, ...]
    unit: str
    apply: Callable[[Tensor, float, torch.Generator], Tensor]


def _noise(pixels: Tensor, level: float, generator: torch.Generator) -> Tensor:
    # Drawn in float32 on the CPU, so that it is the same in every precision and on every device.
    drawn = torch.randn(pixels.shape, generator=generator, dtype=torch.float32)
    return pixels + level * drawn.to(pixels)


def _blur(pixels: Tensor, level: float, generator: torch.Generator) -> Tensor:
    height, width = pixels.shape[-2:]
    deviation = level * math.sqrt(min(height, width))
    # Reflection at the border allows no wider kernel.
    half = min(math.ceil(3 * deviation), min(height, width) - 1)
    blurred: Tensor = functional.gaussian_blur(pixels, [2 * half + 1] * 2, [deviation] * 2)
    return blurred


def _jpeg(pixels: Tensor, level: float, generator: torch.Generator) -> Tensor:
    if pixels.shape[0] not in (1, 3):
        raise ArgumentError(
            f"`perturbations` may have 'jpeg' for images of 1 or 3 channels, got {pixels.shape[0]}; leave it out"
        )
    # By PIL, as torchvision's own encoder is deprecated since 0.29.
    whole = (pixels * 255).round().to("cpu", torch.uint8).permute(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(whole.squeeze(-1).numpy()).save(file, "JPEG", quality=int(level))
    with Image.open(file) as image:
        compressed = torch.from_numpy(np.array(image)).view(whole.shape)
    return compressed.permute(2, 0, 1).to(pixels) / 255


def _brightness(pixels: Tensor, level: float, generator: torch.Generator) -> Tensor:
    brighter: Tensor = functional.adjust_brightness(pixels, level)
    return brighter


PERTURBATIONS: Mapping[str, Perturbation] = MappingProxyType(
    {
        "noise": Perturbation((0.08, 0.12, 0.18, 0.26, 0.38), "standard deviation of Gaussian noise", _noise),
        "blur": Perturbation(
            (0.067, 0.134, 0.2, 0.267, 0.4), "standard deviation over the root of the shorter edge", _blur
        ),
        "jpeg": Perturbation((25, 18, 15, 10, 7), "quality of the JPEG file", _jpeg),
        "brightness": Perturbation((1.1, 1.2, 1.3, 1.4, 1.5), "factor of the pixels", _brightness),
    }
)
"""The perturbations, by name."""


def perturbed(
    images: Tensor, name: str, severity: int, *, scale: PixelScale, checksums: Sequence[int], seed: int = 0
) -> Tensor:
    """Images with a perturbation; what is done to an image depends on the image and the seed alone.

    Args:
        images: (images, channels, height, width), normalised.
        name: one of `PERTURBATIONS`.
        severity: one of `SEVERITIES`.
        scale: the images' normalisation, which is undone before and redone after.
        checksums: of each image's pixels, which seed what is drawn.
        seed: of what is drawn.

    Returns:
        Normalised images of the same shape, dtype and device, whose pixels are clipped to [0, 1].

    Raises:
        ArgumentError: an argument is wrong, or the normalisation is not that of the images.

    Examples:
        >>> import torch
        >>> from nplight.data import PixelScale, perturbed
        >>> scale = PixelScale(mean=(0.5,), std=(0.5,))
        >>> noisy = perturbed(torch.zeros(1, 1, 8, 8), "noise", 3, scale=scale, checksums=[7])
        >>> noisy.shape
        torch.Size([1, 1, 8, 8])
    """
    check_choice("perturbations", name, PERTURBATIONS)
    if severity not in SEVERITIES:
        raise ArgumentError(f"`severity` must be one of {SEVERITIES}, got {severity}")
    perturbation = PERTURBATIONS[name]
    level = perturbation.levels[severity - 1]
    results = [
        # The same noise at every severity, scaled.
        perturbation.apply(pixels, level, seeded_generator(seed, checksum)).clamp(0, 1)
        for pixels, checksum in zip(scale.pixels(images), checksums, strict=True)
    ]
    return scale.normalised(torch.stack(results))
