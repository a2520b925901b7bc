"""Images and paths that the tests of neurons share."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor


@pytest.fixture
def many() -> Tensor:
    """23 images."""
    return torch.randn(23, 3, 8, 8, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


@pytest.fixture
def neurons() -> Tensor:
    """(4 images, 3 layers, 2 neurons)."""
    draw = torch.Generator().manual_seed(2)
    return torch.stack([torch.randperm(64, generator=draw)[:2] for _ in range(12)]).view(4, 3, 2)
