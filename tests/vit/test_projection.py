from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nplight import open_vit
from tests.conftest import make_vit
from tests.vit.test_open_vit import VARIANTS


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_down_projection_is_what_the_neurons_add_to_the_stream(variant: str, images: Tensor) -> None:
    vit = open_vit(make_vit(**VARIANTS[variant]))
    block, down = vit.model.blocks[1], vit.down[1]
    change = torch.randn(4, down.width, dtype=torch.float64)
    neurons = torch.randn(4, down.width, dtype=torch.float64)
    added = block.ls2(block.mlp.fc2(neurons + change)) - block.ls2(block.mlp.fc2(neurons))
    torch.testing.assert_close(down.increment(change), added)
    gradient = torch.randn(4, 16, dtype=torch.float64)
    torch.testing.assert_close((down.pull_back(gradient) * change).sum(), (gradient * added).sum())
