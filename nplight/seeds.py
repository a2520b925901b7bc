"""Random generators and image checksums that are independent of the order of work."""

from __future__ import annotations

import hashlib
import zlib

import torch
from torch import Tensor


def seeded_generator(seed: int, number: int) -> torch.Generator:
    """A CPU generator determined by a seed and a number, e.g. of a category."""
    return torch.Generator().manual_seed((seed * 1_000_003 + number) % (1 << 63))


def checksums(images: Tensor) -> list[int]:
    """CRC-32 of each image's pixels in float32, independent of device and batch: (images, …) -> one per image."""
    pixels = images.detach().to("cpu", torch.float32).contiguous()
    return [zlib.crc32(image.numpy().tobytes()) for image in pixels]


def hashed_generator(*numbers: int) -> torch.Generator:
    """A CPU generator determined by several numbers, e.g. a seed, a draw and the checksum of an image.

    The numbers are hashed with BLAKE2b, so that generators of different numbers are unrelated, whatever their size.
    """
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
