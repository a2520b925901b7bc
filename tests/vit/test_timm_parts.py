from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.layers import GluMlp, Mlp, PatchEmbed, SwiGLU, SwiGLUPacked
from torch import Tensor, nn

from nplight import open_vit, search
from nplight.vit.timm_parts import block_parts, patch_multiple
from tests.by_hand import inner
from tests.conftest import make_vit
from tests.searching.test_search import assert_same, oracle
from tests.vit.activations import ByPosition, Mixing, slopes_by_token


@pytest.mark.parametrize("mlp", [Mlp, GluMlp, SwiGLU, SwiGLUPacked])
@pytest.mark.parametrize("norm", [False, True])
def test_the_up_projection_of_every_ffn_is_what_enters_the_down_projection(mlp: Any, norm: bool) -> None:
    settings = {"mlp_layer": mlp, "mlp_ratio": 4, "scale_mlp_norm": norm}
    vit = open_vit(make_vit(**settings))
    block: Any = vit.blocks()[1]
    parts = block_parts(block, vit.down[1])
    assert parts is not None
    normed = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(parts.up(normed), inner(block.mlp, normed))


def test_an_ffn_or_a_block_of_another_class_has_no_parts() -> None:
    model = make_vit()
    vit = open_vit(model)
    assert block_parts(model.blocks[0], vit.down[0]) is not None
    model.blocks[0].mlp.__class__ = type("Other", (Mlp,), {})
    assert block_parts(model.blocks[0], vit.down[0]) is None
    model.blocks[1].ls2 = nn.Tanh()
    assert block_parts(model.blocks[1], vit.down[1]) is None


def test_images_must_be_whole_patches_unless_the_embedding_pads_them() -> None:
    arguments: dict[str, Any] = {"patch_size": (2, 4), "in_chans": 3, "embed_dim": 8}
    assert patch_multiple(PatchEmbed(img_size=8, **arguments)) == (2, 4)
    assert patch_multiple(PatchEmbed(img_size=8, dynamic_img_pad=True, **arguments)) == (1, 1)
    assert patch_multiple(PatchEmbed(img_size=None, **arguments)) == (1, 1)


@pytest.mark.parametrize("mlp", [Mlp, GluMlp, SwiGLU])
@pytest.mark.parametrize("activation", [ByPosition(), Mixing(), slopes_by_token(5)])
def test_a_block_whose_activation_may_depend_on_the_token_is_run_whole(
    mlp: Any, activation: nn.Module, images: Tensor, targets: Tensor
) -> None:
    model = make_vit(mlp_layer=mlp)
    for block in model.blocks:
        block.mlp.act = activation
        assert block_parts(block, open_vit(model).down[0]) is None
    assert_same(search(model, images, targets, tolerance=0), oracle(model, images, targets))


def test_a_block_whose_attention_has_another_scale_is_run_whole(images: Tensor, targets: Tensor) -> None:
    model = make_vit()
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.scale *= 3
    assert_same(search(model, images, targets, tolerance=0), oracle(model, images, targets))
