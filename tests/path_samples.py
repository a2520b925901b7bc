"""Paths of a small random model, for the tests of the value types."""

from __future__ import annotations

import torch

from nplight import PathBatch, search
from tests.conftest import make_vit


def searched_paths() -> PathBatch:
    """Five images, three layers, K = 2, R = 4, float64."""
    images = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return search(make_vit(), images, torch.tensor([0, 3, 4, 3, 1]), steps=2, top_k=2, ranked=4)
