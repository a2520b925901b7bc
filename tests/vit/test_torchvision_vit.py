from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.vision_transformer import ConvStemConfig, EncoderBlock, MLPBlock, VisionTransformer

from nplight import UnsupportedModelError, intervene, joint_score, open_vit, search
from nplight.attribution import plain_search
from nplight.attribution.jvp import block_jvp
from nplight.vit import undisturbed
from nplight.vit.torchvision_vit import TorchvisionViT
from tests.neurons.test_intervene import hooks_of
from tests.searching.test_search import EXACT, assert_same
from tests.vit.activations import ByPosition, Mixing, slopes_by_token


def make_torchvision(kind: type[VisionTransformer] = VisionTransformer, **arguments: Any) -> VisionTransformer:
    """A tiny random ViT in float64, evaluation mode, whose FFNs matter."""
    torch.manual_seed(0)
    settings = {"image_size": 8, "patch_size": 4, "num_layers": 3, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 24}
    model = kind(**{**settings, "num_classes": 5, **arguments}).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "a hidden layer in the head": {"representation_size": 6},
    "convolutions before the patches": {"conv_stem_configs": [ConvStemConfig(4, 3, 2), ConvStemConfig(8, 3, 2)]},
    "dropout": {"dropout": 0.5, "attention_dropout": 0.5},
    "an odd number of heads": {"num_heads": 1},
}


@pytest.fixture
def neurons() -> Tensor:
    """(4 images, 3 layers, 2 neurons)."""
    draw = torch.Generator().manual_seed(2)
    return torch.stack([torch.randperm(24, generator=draw)[:2] for _ in range(12)]).view(4, 3, 2)


def forward_by_hand(model: VisionTransformer, images: Tensor, edit: Callable[[int, Tensor], Tensor]) -> Tensor:
    """The model's arithmetic written out, with the class token's neurons passed through `edit`."""
    stream = model.conv_proj(images).flatten(2).mT
    stream = torch.cat([model.class_token.expand(len(images), -1, -1), stream], dim=1) + model.encoder.pos_embedding
    for layer, block in enumerate(model.encoder.layers):
        stream = stream + attention_by_hand(block.self_attention, block.ln_1(stream))
        up, down = block.mlp[0], block.mlp[3]
        neurons = nn.functional.gelu(block.ln_2(stream) @ up.weight.T + up.bias)
        edited = torch.cat([edit(layer, neurons[:, 0]).unsqueeze(1), neurons[:, 1:]], dim=1)
        stream = stream + edited @ down.weight.T + down.bias
    return model.heads(model.encoder.ln(stream)[:, 0])


def attention_by_hand(attention: nn.MultiheadAttention, stream: Tensor) -> Tensor:
    both = stream @ attention.in_proj_weight.T + attention.in_proj_bias
    heads = both.unflatten(2, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    query, key, value = heads
    weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
    mixed = (weights @ value).transpose(1, 2).flatten(2)
    return mixed @ attention.out_proj.weight.T + attention.out_proj.bias


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_pieces_in_order_are_the_model(variant: str, images: Tensor) -> None:
    model = make_torchvision(**VARIANTS[variant])
    vit = TorchvisionViT(model)
    for mode in (torch.no_grad, torch.enable_grad, torch.inference_mode):
        with mode():
            torch.testing.assert_close(vit.forward(images), model(images), rtol=1e-12, atol=1e-12)
    assert vit.depth == 3
    assert vit.widths == (24, 24, 24)
    assert vit.num_classes == 5
    assert vit.path_tokens == slice(0, 1)
    assert vit.image_shape() == (3, 8, 8)
    assert TorchvisionViT.matches(model)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_engine_equals_the_oracle(variant: str, images: Tensor, targets: Tensor) -> None:
    vit = TorchvisionViT(make_torchvision(**VARIANTS[variant]))
    with undisturbed(vit.model):
        expected = plain_search(vit, images, targets, top_k=2, steps=3)
    assert_same(search(vit, images, targets, top_k=2, steps=3), expected)
    with torch.inference_mode():
        assert_same(search(vit, images, targets, top_k=2, steps=3), expected)
    actual = joint_score(vit, images, targets, expected.neurons, steps=3)
    torch.testing.assert_close(actual, expected.scores, **EXACT)


@pytest.mark.parametrize("fast", [True, False])
def test_a_block_keeps_its_tangent_and_the_switch_of_fused_attention(fast: bool, images: Tensor) -> None:
    vit = TorchvisionViT(make_torchvision())
    torch.backends.mha.set_fastpath_enabled(fast)
    try:
        with undisturbed(vit.model), torch.no_grad():
            stream = vit.embed(images)
            direction = torch.randn(stream.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
            _, tangent = block_jvp(vit, 1, stream, direction)
            step = 1e-6
            slope = (vit.block(1, stream + step * direction) - vit.block(1, stream - step * direction)) / (2 * step)
            torch.testing.assert_close(tangent, slope, rtol=1e-6, atol=1e-7)
            assert torch.backends.mha.get_fastpath_enabled() is fast
            with pytest.raises(AssertionError, match="hidden_dim"):
                vit.block(1, stream[0])
        assert torch.backends.mha.get_fastpath_enabled() is fast
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


@pytest.mark.parametrize(("operation", "inside", "outside"), [("remove", 0, 1), ("keep", 1, 0)])
def test_an_edit_equals_a_forward_written_by_hand(
    images: Tensor, neurons: Tensor, operation: str, inside: int, outside: int
) -> None:
    model = make_torchvision()

    def edit(layer: int, values: Tensor) -> Tensor:
        return values * torch.full_like(values, outside).scatter(1, neurons[:, layer], inside)

    with torch.no_grad(), intervene(TorchvisionViT(model), neurons, operation):
        edited = model(images)
    torch.testing.assert_close(edited, forward_by_hand(model, images, edit), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(edited, model(images))


def test_the_model_is_left_as_it_was_found(images: Tensor, targets: Tensor, neurons: Tensor) -> None:
    model = make_torchvision().train()
    model.encoder.layers[1].eval()
    model.heads.head.weight.requires_grad_(False)
    modes = [module.training for module in model.modules()]
    wants = [parameter.requires_grad for parameter in model.parameters()]
    search(TorchvisionViT(model), images, targets, steps=2)
    with intervene(TorchvisionViT(model), neurons, "remove"):
        model(images)
    assert hooks_of(model) == 0
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == wants
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize(
    "head", [nn.Linear(16, 7), nn.Sequential(nn.Dropout(0.1), nn.Sequential(nn.Linear(16, 4), nn.Linear(4, 7)))]
)
def test_a_head_that_was_replaced_counts(head: nn.Module, images: Tensor) -> None:
    model = make_torchvision()
    model.heads = head.double().eval()
    assert TorchvisionViT(model).num_classes == 7
    torch.testing.assert_close(TorchvisionViT(model).forward(images), model(images), rtol=1e-12, atol=1e-12)


class _Changed(VisionTransformer):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class _OtherBlock(EncoderBlock):
    pass


def _changed(change: Callable[[VisionTransformer], None]) -> VisionTransformer:
    model = make_torchvision()
    change(model)
    return model


UNSUPPORTED = {
    "a forward of its own": (lambda: make_torchvision(_Changed), "_Changed .*overrides forward"),
    "another block": (
        lambda: _changed(lambda model: setattr(model.encoder.layers[1], "__class__", _OtherBlock)),
        "block 1 is a _OtherBlock",
    ),
    "another FFN": (
        lambda: _changed(lambda model: setattr(model.encoder.layers[2], "mlp", nn.Sequential(nn.Linear(16, 16)))),
        r"the FFN of block 2, a Sequential, has no linear down projection `mlp\[3\]`",
    ),
    "another encoder": (lambda: _changed(lambda model: setattr(model, "encoder", nn.Identity())), "is a Identity"),
    "no head": (lambda: _changed(lambda model: setattr(model, "heads", nn.Identity())), "has 0 .*at least 2"),
    "one logit": (lambda: make_torchvision(num_classes=1), "has 1 categories, at least 2"),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_what_cannot_be_opened_is_named_with_what_can(case: str) -> None:
    build, reason = UNSUPPORTED[case]
    model = build()
    assert TorchvisionViT.matches(model)
    with pytest.raises(UnsupportedModelError, match=rf"{reason}.*Supported: torchvision VisionTransformer"):
        open_vit(model)


@pytest.mark.parametrize("activation", [ByPosition(), Mixing(), slopes_by_token(5)])
def test_a_block_whose_activation_may_depend_on_the_token_is_run_whole(
    activation: nn.Module, images: Tensor, targets: Tensor
) -> None:
    model: Any = make_torchvision()
    for layer in model.encoder.layers:
        layer.mlp[1] = activation
    vit = open_vit(model)
    assert vit.parts(0) is None
    with undisturbed(model):
        expected = plain_search(vit, images, targets)
    assert_same(search(model, images, targets, tolerance=0), expected)


def test_a_block_whose_ffn_is_of_another_class_is_run_whole(images: Tensor, targets: Tensor) -> None:
    class Louder(MLPBlock):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    model: Any = make_torchvision()
    assert open_vit(model).parts(1) is not None
    model.encoder.layers[1].mlp.__class__ = Louder
    assert open_vit(model).parts(1) is None
