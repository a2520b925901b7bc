from __future__ import annotations

import pytest
import timm
import torch
from timm.layers import GluMlp, SwiGLU, SwiGLUPacked
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import ParallelScalingBlock, ResPostBlock, VisionTransformer
from torch import Tensor

from nplight import UnsupportedModelError, open_vit
from nplight.errors import ArgumentError
from tests.conftest import make_vit

VARIANTS = {
    "plain": {},
    "layer scale": {"init_values": 0.5},
    "registers": {"reg_tokens": 3},
    "registers without position": {"reg_tokens": 2, "no_embed_class": True},
    "query and key norms": {"qk_norm": True},
    "norm before the blocks": {"pre_norm": True},
    "norm before the down projection": {"scale_mlp_norm": True},
    "any image size": {"dynamic_img_size": True},
    "mean of the patch tokens": {"global_pool": "avg"},
    "mean, norm before the blocks' output": {"global_pool": "avg", "fc_norm": False},
    "mean without a class token": {"global_pool": "avg", "class_token": False},
    "mean with registers": {"global_pool": "avg", "reg_tokens": 2},
    "attention pool": {"global_pool": "map", "class_token": False},
    "gated FFN": {"mlp_layer": GluMlp},
    "SwiGLU": {"mlp_layer": SwiGLU},
    "packed SwiGLU": {"mlp_layer": SwiGLUPacked, "mlp_ratio": 4},
    "distilled": {"cls": VisionTransformerDistilled},
}
PATH_TOKENS = {"plain": [0], "registers": [0], "mean of the patch tokens": [1, 2, 3, 4], "distilled": [0, 1],
               "mean without a class token": [0, 1, 2, 3], "mean with registers": [3, 4, 5, 6],
               "attention pool": [0, 1, 2, 3]}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_pieces_in_order_are_the_model(variant: str, images: Tensor) -> None:
    model = make_vit(**VARIANTS[variant])
    vit = open_vit(model)
    torch.testing.assert_close(vit.forward(images), model(images), rtol=0, atol=0)
    assert vit.depth == 3
    assert vit.widths == tuple(block.mlp.fc2.in_features for block in model.blocks)
    assert vit.num_classes == 5
    if variant in PATH_TOKENS:
        assert list(range(vit.embed(images).shape[1]))[vit.path_tokens] == PATH_TOKENS[variant]


class _Changed(VisionTransformer):
    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        return 2 * super().forward_head(x, pre_logits)


UNSUPPORTED = {
    "no ViT": (lambda: timm.create_model("resnet18"), "ResNet"),
    "largest token": (lambda: make_vit(global_pool="max"), "pools tokens by 'max'"),
    "norm after the FFN": (lambda: make_vit(block_fn=ResPostBlock), "ResPostBlock"),
    "parallel attention and FFN": (lambda: make_vit(block_fn=ParallelScalingBlock), "ParallelScalingBlock"),
    "no head": (lambda: make_vit(num_classes=0), "at least 2"),
    "one logit": (lambda: make_vit(num_classes=1), "at least 2"),
    "a forward of its own": (
        lambda: _Changed(img_size=8, patch_size=4, embed_dim=16, depth=1, num_heads=2),
        "_Changed.*overrides forward_head",
    ),
    "a function": (lambda: len, "builtin_function_or_method"),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_what_cannot_be_opened_is_named_with_what_can(case: str) -> None:
    build, reason = UNSUPPORTED[case]
    with pytest.raises(UnsupportedModelError, match=rf"(?s){reason}.*Supported: timm "):
        open_vit(build())


@pytest.mark.parametrize(
    ("shape", "dtype", "reason"),
    [
        ((3, 8, 8), torch.float64, "shape"),
        ((2, 1, 8, 8), torch.float64, r"\(images, 3, 8, 8\)"),
        ((2, 3, 8, 12), torch.float64, r"got \(2, 3, 8, 12\)"),
        ((0, 3, 8, 8), torch.float64, "at least one image"),
        ((2, 3, 8, 8), torch.uint8, "floating-point"),
        ((2, 3, 8, 8), torch.float32, "dtype torch.float64"),
    ],
)
def test_images_of_a_wrong_kind_are_refused(
    vit: VisionTransformer, shape: tuple[int, ...], dtype: torch.dtype, reason: str
) -> None:
    with pytest.raises(ArgumentError, match=rf"`images` must .*{reason}"):
        open_vit(vit).check_images(torch.zeros(shape, dtype=dtype))
