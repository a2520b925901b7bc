from __future__ import annotations

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from nplight import references


class FirstPixel:
    """Makes neuron 3 of layer 1 hold the first pixel of each image, so that its values are known."""

    def __init__(self, model: VisionTransformer) -> None:
        model.patch_embed.register_forward_pre_hook(self.look)
        model.blocks[1].mlp.fc2.register_forward_pre_hook(self.write)

    def look(self, module: nn.Module, arguments: tuple[Tensor]) -> None:
        self.pixels = arguments[0][:, 0, 0, 0]

    def write(self, module: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
        values = arguments[0].clone()
        values[:, 0, 3] = self.pixels
        return (values,)


@pytest.mark.parametrize(
    ("pixels", "peak"),
    [
        ([0, 1, 0.3035, 0.30355, 0.30358, 0.3099, 0.5], 0.30355),  # bin 30, in it fine bin 35
        ([0, 0.2055, 0.2055, 0.8055, 0.8055, 1], 0.20555),  # two equally full bins: the lower
        ([0, 0.2055, 0.20253, 1], 0.20255),  # bin 20; in it two equally full fine bins: the lower
        ([0, 1], 0.00005),
        ([0.25] * 3, 0.25),
        ([0.0] * 3, 0.0),
        ([-0.7], float(np.float32(-0.7))),
    ],
)
def test_the_peak_of_known_values(vit: VisionTransformer, pixels: list[float], peak: float) -> None:
    FirstPixel(vit)
    images = torch.zeros(len(pixels), 3, 8, 8, dtype=torch.float64)
    images[:, 0, 0, 0] = torch.tensor(pixels, dtype=torch.float64)
    actual = references(vit, images.split(2), "peak").of()[1][0, 0, 3]
    assert actual.item() == pytest.approx(peak, abs=1e-9)
