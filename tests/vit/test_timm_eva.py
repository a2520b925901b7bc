from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from timm.layers import RmsNorm
from timm.models.eva import Eva, EvaBlock
from torch import Tensor, nn

from nplight import UnsupportedModelError, intervene, joint_score, open_vit, search
from nplight.attribution import plain_search
from nplight.errors import ArgumentError
from nplight.vit import undisturbed
from nplight.vit.timm_eva import TimmEva
from tests.neurons.test_intervene import hooks_of
from tests.searching.test_search import EXACT, assert_same
from tests.vit.activations import ByPosition


def make_eva(**arguments: Any) -> Eva:
    """A tiny random Eva in float64, evaluation mode, on a grid of 2 × 3 patches, whose FFNs and positions matter."""
    torch.manual_seed(0)
    settings = {"img_size": (8, 12), "patch_size": 4, "embed_dim": 16, "depth": 3, "num_heads": 2, "num_classes": 5}
    model = Eva(**{**settings, "global_pool": "token", **arguments}).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


ROPE = {"use_rot_pos_emb": True}
# As timm builds DINOv3: registers, rotary position alone, no norm before the mean of the patches but one after.
DINOV3 = {
    **ROPE,
    "rope_type": "dinov3",
    "rope_rotate_half": True,
    "use_abs_pos_emb": False,
    "num_reg_tokens": 4,
    "init_values": 0.5,
    "use_fc_norm": False,
    "dynamic_img_size": True,
}
CLASS_TOKEN: dict[str, dict[str, Any]] = {
    "EVA": {"init_values": 0.5},
    "EVA-02 small": {**ROPE, "swiglu_mlp": True, "ref_feat_shape": (4, 4)},
    "EVA-02 base": {**ROPE, "swiglu_mlp": True, "scale_mlp": True, "qkv_fused": False, "scale_attn_inner": True},
    "DINOv3": DINOV3,
    "DINOv3 of one size": {**DINOV3, "dynamic_img_size": False},
    "rope that differs by block": {**ROPE, "rope_type": "mixed", "attn_type": "rope"},
    "rope that differs by block, any size": {**ROPE, "rope_type": "mixed", "dynamic_img_size": True},
    "rope of the multimodal kind": {**ROPE, "rope_type": "mrope", "rope_mrope_section": (2, 1, 1)},
    "norms before and in the attention": {**ROPE, "use_pre_transformer_norm": True, "qk_norm": True},
    "layer scale of the attention alone": {"init_values": 0.5, "attn_only_layer_scale": True, "norm_layer": RmsNorm},
    "any image size": {"dynamic_img_size": True},
    "patches dropped in training": {**ROPE, "patch_drop_rate": 0.5},
}
MEAN: dict[str, dict[str, Any]] = {
    "mean": {"global_pool": "avg"},
    "mean, EVA-02": {"global_pool": "avg", **ROPE, "swiglu_mlp": True, "scale_mlp": True},
    "mean, DINOv3": {"global_pool": "avg", **DINOV3},
    "mean without a class token": {"global_pool": "avg", "class_token": False},
}
VARIANTS = {**CLASS_TOKEN, **MEAN}


@pytest.fixture
def images() -> Tensor:
    return torch.randn(4, 3, 8, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def neurons() -> Tensor:
    """(4 images, 3 layers, 2 neurons)."""
    draw = torch.Generator().manual_seed(2)
    return torch.stack([torch.randperm(64, generator=draw)[:2] for _ in range(12)]).view(4, 3, 2)


def forward_by_hand(model: Eva, images: Tensor, edit: Callable[[int, Tensor], Tensor]) -> Tensor:
    """The model's arithmetic written out, with the neurons of the pooled tokens passed through `edit`."""
    stream, rope = model._pos_embed(model.patch_embed(images))
    stream = model.norm_pre(stream)
    prefix = model.num_prefix_tokens
    for layer, block in enumerate(model.blocks):
        turned = rope[layer] if model.rope_mixed else rope
        attended = block.attn(block.norm1(stream), rope=turned)
        stream = stream + (attended if block.gamma_1 is None else block.gamma_1 * attended)
        neurons = neurons_by_hand(block.mlp, block.norm2(stream))
        if model.global_pool == "token":
            neurons = torch.cat([edit(layer, neurons[:, :1]), neurons[:, 1:]], dim=1)
        else:
            neurons = torch.cat([neurons[:, :prefix], edit(layer, neurons[:, prefix:])], dim=1)
        added = neurons @ block.mlp.fc2.weight.T + block.mlp.fc2.bias
        stream = stream + (added if block.gamma_2 is None else block.gamma_2 * added)
    stream = model.norm(stream)
    pooled = stream[:, 0] if model.global_pool == "token" else stream[:, prefix:].mean(1)
    return model.head(model.fc_norm(pooled))


def neurons_by_hand(mlp: nn.Module, stream: Tensor) -> Tensor:
    kind = type(mlp).__name__
    if kind == "Mlp":
        return mlp.norm(mlp.act(mlp.fc1(stream)))
    gate, value = mlp.fc1(stream).chunk(2, -1) if kind == "GluMlp" else (mlp.fc1_g(stream), mlp.fc1_x(stream))
    return mlp.norm(nn.functional.silu(gate) * value)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_pieces_in_order_are_the_model(variant: str, images: Tensor) -> None:
    model = make_eva(**VARIANTS[variant])
    vit = TimmEva(model)
    torch.testing.assert_close(vit.forward(images), model(images), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(forward_by_hand(model, images, lambda layer, values: values), model(images))
    assert vit.depth == 3
    assert vit.widths == (64, 64, 64)
    assert vit.num_classes == 5
    assert TimmEva.matches(model)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_engine_equals_the_oracle(variant: str, images: Tensor, targets: Tensor) -> None:
    vit = TimmEva(make_eva(**VARIANTS[variant]))
    with undisturbed(vit.model):
        expected = plain_search(vit, images, targets, top_k=2, steps=3)
    assert_same(search(vit, images, targets, top_k=2, steps=3), expected)
    actual = joint_score(vit, images, targets, expected.neurons, steps=3)
    torch.testing.assert_close(actual, expected.scores, **EXACT)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_path_tokens_are_those_the_head_sees(variant: str, images: Tensor) -> None:
    vit = TimmEva(make_eva(**VARIANTS[variant]))
    stream = torch.zeros(1, vit.embed(images).shape[1], 16, dtype=torch.float64, requires_grad=True)
    noise = torch.randn(stream.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    (gradient,) = torch.autograd.grad(vit.head(stream + noise).sum(), stream)
    seen = (gradient[0] != 0).any(1).nonzero().flatten().tolist()
    assert seen == list(range(stream.shape[1]))[vit.path_tokens]


@pytest.mark.parametrize(("operation", "inside", "outside"), [("remove", 0, 1), ("keep", 1, 0)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_edit_equals_a_forward_written_by_hand(
    variant: str, images: Tensor, neurons: Tensor, operation: str, inside: int, outside: int
) -> None:
    model = make_eva(**VARIANTS[variant])

    def edit(layer: int, values: Tensor) -> Tensor:
        factor = torch.full((4, 1, 64), outside, dtype=values.dtype)
        return values * factor.scatter(2, neurons[:, layer].unsqueeze(1), inside)

    with torch.no_grad(), intervene(TimmEva(model), neurons, operation):
        edited = model(images)
    torch.testing.assert_close(edited, forward_by_hand(model, images, edit), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(edited, model(images))


def test_the_model_is_left_as_it_was_found(images: Tensor, targets: Tensor, neurons: Tensor) -> None:
    model = make_eva(**DINOV3).train()
    model.blocks[1].eval()
    model.head.weight.requires_grad_(False)
    modes = [module.training for module in model.modules()]
    wants = [parameter.requires_grad for parameter in model.parameters()]
    search(TimmEva(model), images, targets, steps=2)
    with intervene(TimmEva(model), neurons, "remove"):
        model(images)
    assert hooks_of(model) == 0
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == wants


def test_rotary_positions_hold_for_one_image_size_at_a_time(images: Tensor) -> None:
    rotary, absolute = TimmEva(make_eva(**DINOV3)), TimmEva(make_eva(dynamic_img_size=True))
    assert rotary.image_shape() == (3, 8, 12)
    assert absolute.image_shape() == (3, None, None)
    # As many patches, on another grid: the shapes alone would not tell.
    with pytest.raises(ArgumentError, match=r"`images` must have shape \(images, 3, 8, 12\).*got \(4, 3, 12, 8\)"):
        rotary.forward(images.mT)
    rotary.model.set_input_size((12, 8))
    for vit in (rotary, absolute):
        torch.testing.assert_close(vit.forward(images.mT), vit.model(images.mT), rtol=1e-12, atol=1e-12)


def test_a_head_that_was_replaced_counts(images: Tensor) -> None:
    model = make_eva()
    model.head = nn.Linear(16, 7).double()
    assert TimmEva(model).num_classes == 7


class _Changed(Eva):
    def pool(self, x: Tensor, pool_type: str | None = None) -> Tensor:
        return 2 * super().pool(x, pool_type)


class _OtherBlock(EvaBlock):
    pass


def _with_block(block: type[nn.Module]) -> Eva:
    model = make_eva()
    model.blocks[1].__class__ = block
    return model


def _without_fc2() -> Eva:
    model = make_eva()
    model.blocks[0].mlp = nn.Sequential(nn.Linear(16, 16))
    return model


UNSUPPORTED = {
    "norm after the FFN": (lambda: make_eva(use_post_norm=True), "block 0 is a EvaBlockPostNorm"),
    "another block": (lambda: _with_block(_OtherBlock), "block 1 is a _OtherBlock"),
    "another FFN": (_without_fc2, "the FFN of block 0, a Sequential, has no linear down projection `fc2`"),
    "attention pooling": (lambda: make_eva(global_pool="map"), "it classifies from an attention pooling"),
    "maximum pooling": (lambda: make_eva(global_pool="max"), r"\(global_pool='max'\)"),
    "no pooling": (lambda: make_eva(global_pool=""), r"\(global_pool=''\)"),
    "no head": (lambda: make_eva(num_classes=0), "has 0 categories, at least 2"),
    "one logit": (lambda: make_eva(num_classes=1), "has 1 categories, at least 2"),
    "a method of its own": (
        lambda: _Changed(img_size=8, patch_size=4, embed_dim=16, depth=1, num_heads=2),
        "_Changed .*overrides pool",
    ),
    "several reasons": (lambda: make_eva(global_pool="map", use_post_norm=True), "attention pooling; block 0 is a"),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_what_cannot_be_opened_is_named_with_what_can(case: str) -> None:
    build, reason = UNSUPPORTED[case]
    model = build()
    assert TimmEva.matches(model)
    with pytest.raises(UnsupportedModelError, match=rf"{reason}.*Supported: timm Eva"):
        open_vit(model)


@pytest.mark.parametrize("settings", [{}, {"swiglu_mlp": True}, {"swiglu_mlp": True, "scale_mlp": True}])
def test_a_block_whose_activation_may_depend_on_the_token_is_run_whole(
    settings: dict[str, Any], images: Tensor, targets: Tensor
) -> None:
    model = make_eva(**settings)
    for block in model.blocks:
        block.mlp.act = ByPosition()
    vit = open_vit(model)
    assert vit.parts(0) is None
    with undisturbed(model):
        expected = plain_search(vit, images, targets)
    assert_same(search(model, images, targets, tolerance=0), expected)
