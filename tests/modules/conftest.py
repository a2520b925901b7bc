"""Weights to save and load."""

from __future__ import annotations

import pytest
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor


@pytest.fixture
def weights(vit: VisionTransformer) -> dict[str, Tensor]:
    return {name: value + 1 for name, value in vit.state_dict().items()}
