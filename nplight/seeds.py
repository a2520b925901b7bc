"""Random generators, hashes and image checksums that are independent of the order of work."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

INCREMENT = 0x9E3779B97F4A7C15
"""Of the state of SplitMix64, odd."""

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
    """The first output of SplitMix64 with each state: flipping one of its bits flips about half of the output's."""
    states = (words + np.uint64(INCREMENT)).view(np.int64)
    return finalised(torch.from_numpy(states)).numpy().view(np.uint64)


def finalised(states: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), in integers, the same on every device.

    Args:
        states: (…) int64, the 64 bits of each state.

    Returns:
        (…) int64, on the device of `states`.
    """
    for bits, multiplier in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        states = (states ^ shifted(states, bits)) * signed(multiplier)
    return states


def shifted(values: Tensor, bits: int) -> Tensor:
    """The 64 bits of each integer shifted to the right, with zeros on the left: (…) int64."""
    # `>>` copies the sign bit of an int64; the mask makes it an unsigned shift.
    return (values >> bits) & ((1 << (64 - bits)) - 1)


def signed(value: int) -> int:
    """The int64 with the same 64 bits."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)
