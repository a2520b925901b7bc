"""Random generators, hashes and image checksums that are independent of the order of work."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

Words = np.ndarray[Any, np.dtype[np.uint64]]


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


def hashes(*columns: Tensor, seed: int = 0) -> Tensor:
    """A hash of each image's numbers, for draws that depend on the image alone.

    Args:
        *columns: (images,) int64 each: checksum, index, label or the like.
        seed: changes every hash.

    Returns:
        (images,) int64, at least 0, on the CPU.
    """
    words = split_mix(np.full(len(columns[0]), seed % (1 << 64), np.uint64))
    for column in columns:
        words = split_mix(words ^ as_words(column))
    return torch.from_numpy((words >> np.uint64(1)).astype(np.int64))


def as_words(values: Tensor) -> Words:
    """The 64 bits of each integer: (n,) -> (n,) uint64."""
    return values.detach().cpu().to(torch.int64).numpy().view(np.uint64)


def split_mix(words: Words) -> Words:
    """SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): flipping one input bit flips about half of the output bits."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
