from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from nplight import UnsupportedModelError, open_vit


class _LoRA(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x[..., : self.out_features]


def test_a_projection_with_a_forward_of_its_own_is_refused(vit: VisionTransformer) -> None:
    vit.blocks[1].mlp.fc2 = _LoRA(64, 16).double()
    with pytest.raises(UnsupportedModelError, match="the FFN of block 1, a Mlp, has no linear down projection"):
        open_vit(vit)


class Adapter(nn.Module):
    """A low-rank adapter (LoRA) as peft puts it around a linear layer."""

    def __init__(self, base_layer: nn.Linear) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.lora_A = nn.ModuleDict({"default": nn.Linear(base_layer.in_features, 2, bias=False).double()})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(2, base_layer.out_features, bias=False).double()})

    def forward(self, x: Tensor) -> Tensor:
        return self.base_layer(x) + self.lora_B["default"](self.lora_A["default"](x))

    def merge_and_unload(self) -> nn.Linear:
        with torch.no_grad():
            self.base_layer.weight += self.lora_B["default"].weight @ self.lora_A["default"].weight
        return self.base_layer


def test_an_adapter_on_a_down_projection_is_refused_until_it_is_merged(vit: VisionTransformer, images: Tensor) -> None:
    adapter = Adapter(vit.blocks[1].mlp.fc2)
    vit.blocks[1].mlp.fc2 = adapter
    logits = vit(images)
    with pytest.raises(
        UnsupportedModelError,
        match=r"block 1, a Mlp, .*`fc2`: it is a .*\.Adapter, an adapter .* first, with merge_and_unload\(\)",
    ):
        open_vit(vit)
    vit.blocks[1].mlp.fc2 = adapter.merge_and_unload()
    torch.testing.assert_close(open_vit(vit).forward(images), logits)
