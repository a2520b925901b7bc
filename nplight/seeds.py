"""Random streams that depend on a seed and a number alone, so that no result depends on the order of work."""

from __future__ import annotations

import torch


def stream(seed: int, number: int) -> torch.Generator:
    """A CPU generator of its own for each (seed, number), a category's number, say."""
    return torch.Generator().manual_seed((seed * 1_000_003 + number) % (1 << 63))
