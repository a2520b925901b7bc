"""Thumbnails of images, and the grid of their patches."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

_MOST_PREFIX = 16


def patch_grid(tokens: int, height: int, width: int) -> tuple[int, int] | None:
    """Rows and columns of the patch tokens, the last of the tokens: the largest grid with the image's aspect ratio.

    `None` if such a grid leaves more other tokens than a ViT has.
    """
    common = math.gcd(height, width)
    rows, columns = height // common, width // common
    times = math.isqrt(tokens // (rows * columns))
    grid = rows * times, columns * times
    return grid if times and tokens - grid[0] * grid[1] <= _MOST_PREFIX else None


def thumbnail(image: Tensor, size: int, colours: tuple[Tensor, Tensor] | None = None) -> str:
    """A thumbnail as a data URI.

    Args:
        image: (channels, height, width) of one or three channels, normalised.
        size: of the longer edge in pixels; a smaller image is not resized.
        colours: mean and standard deviation of the normalisation; `None` stretches the image to the full range.
    """
    if colours is None:
        low, high = image.min(), image.max()
        pixels = (image - low) / (high - low).clamp(min=1e-12)
    else:
        pixels = image * colours[1][:, None, None] + colours[0][:, None, None]
    levels = (pixels.clamp(0, 1) * 255).round().to(torch.uint8)[:3]
    picture = Image.fromarray(np.ascontiguousarray(levels.expand(3, -1, -1).permute(1, 2, 0).numpy()))
    small = max(picture.size) <= size
    picture.thumbnail((size, size))
    buffer = io.BytesIO()
    # Small pictures may have sharp strokes, which JPEG blurs.
    picture.save(buffer, **({"format": "PNG"} if small else {"format": "JPEG", "quality": 75}))
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
