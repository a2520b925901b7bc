"""Random streams that depend on a seed and a number alone, so that no result depends on the order of work."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor


def stream(seed: int, number: int) -> torch.Generator:
    """A CPU generator of its own for each (seed, number), a category's number, say."""
    return torch.Generator().manual_seed((seed * 1_000_003 + number) % (1 << 63))


def checksums(images: Tensor) -> list[int]:
    """CRC-32 of each image's pixels in float32, whatever device and batch: (images, …) -> one number an image."""
    pixels = images.detach().to("cpu", torch.float32).contiguous()
    return [zlib.crc32(image.numpy().tobytes()) for image in pixels]
