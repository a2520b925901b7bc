"""A block in parts is the block, for every family; and there are no parts where that cannot be said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from timm.layers import Attention
from timm.models.eva import Eva
from torch import Tensor, nn

from nplight import open_vit
from nplight.vit import BlockParts, OpenViT, undisturbed
from nplight.vit.parts import ALL
from tests.conftest import make_vit
from tests.vit.test_families import SUPPORTED, build, name
from tests.vit.test_timm_eva import ROPE, make_eva
from tests.vit.test_timm_eva import VARIANTS as EVAS
from tests.vit.test_torchvision_vit import make_torchvision

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
BUILDERS: dict[str, Callable[[], nn.Module]] = {
    **{name(case): (lambda case=case: build(case)) for case in SUPPORTED},
    **{f"Eva, {variant}": (lambda variant=variant: make_eva(**EVAS[variant])) for variant in EVAS},
    "keys shared by heads": lambda: make_eva(**ROPE, attn_type="rope", qkv_fused=False, num_kv_heads=1),
}


@pytest.fixture(params=BUILDERS)
def vit(request: pytest.FixtureRequest) -> OpenViT:
    return open_vit(BUILDERS[request.param]())


def stream_of(vit: OpenViT) -> Tensor:
    """A random stream, (3, tokens, features), as that of an image."""
    channels, height, width = vit.image_shape()
    size = (3, channels, height or 8, width or (12 if isinstance(vit.model, Eva) else 8))
    images = torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        return vit.embed(images)


def parts_of(vit: OpenViT, layer: int) -> BlockParts:
    parts = vit.parts(layer)
    assert parts is not None
    return parts


def test_the_parts_in_order_are_the_block(vit: OpenViT) -> None:
    stream = stream_of(vit)
    with undisturbed(vit.model), torch.no_grad():
        for layer in range(vit.depth):
            parts = parts_of(vit, layer)
            expected = vit.block(layer, stream)
            torch.testing.assert_close(parts.feed(parts.attend(stream)), expected, **CLOSE)
            for tokens in (vit.path_tokens, slice(0, 1), slice(1, 3)):
                torch.testing.assert_close(parts.feed(parts.attend(stream, tokens)), expected[:, tokens], **CLOSE)
            stream = expected


def test_queries_keys_and_values_of_some_tokens_are_those_among_all(vit: OpenViT) -> None:
    stream = stream_of(vit)
    with undisturbed(vit.model), torch.no_grad():
        attention = parts_of(vit, 1).attention
        every = attention.queries_keys_values(stream)
        for first, last in ((0, 1), (1, 3), (2, stream.shape[1])):
            some = stream[:, first:last]
            separate = (attention.queries(some, first), *attention.keys_values(some, first))
            for actual in (attention.queries_keys_values(some, first), separate):
                for one, whole in zip(actual, every):
                    torch.testing.assert_close(one, whole[:, :, first:last], **CLOSE)


def test_a_head_that_takes_the_path_tokens_needs_no_others(vit: OpenViT) -> None:
    stream = stream_of(vit)
    pooled = vit.path_tokens.start != 0 or stream[:, vit.path_tokens].shape[1] > 2
    assert vit.head_takes_path_tokens() is not pooled
    if not pooled:
        with undisturbed(vit.model), torch.no_grad():
            torch.testing.assert_close(vit.head(stream[:, vit.path_tokens]), vit.head(stream), **CLOSE)


@pytest.mark.parametrize("make", [make_vit, make_eva, make_torchvision])
def test_a_block_that_somebody_hooks_has_no_parts(make: Callable[[], nn.Module]) -> None:
    vit = open_vit(make())
    block = vit.blocks()[1]
    for module in block.modules():
        for register in (module.register_forward_hook, module.register_forward_pre_hook):
            handle = register(lambda *_: None)
            assert vit.parts(1) is None
            assert vit.parts(0) is not None
            handle.remove()
            assert vit.parts(1) is not None


@pytest.mark.parametrize("make", [make_vit, make_eva, make_torchvision])
def test_a_head_that_somebody_hooks_gets_every_token(make: Callable[[], nn.Module]) -> None:
    vit = open_vit(make())
    for module in vit.after_blocks():
        handle = module.register_forward_pre_hook(lambda *_: None)
        assert not vit.head_takes_path_tokens()
        handle.remove()
    assert vit.head_takes_path_tokens()


class _Own(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


class _Mixing(nn.LayerNorm):
    def forward(self, input: Tensor) -> Tensor:
        return input - input.mean(1, keepdim=True)


class _OtherAttention(Attention):
    pass


def _own_forward(block: Any) -> None:
    block.mlp.forward = lambda stream: block.mlp.fc2(block.mlp.fc1(stream))


CHANGES: dict[str, Callable[[Any], Any]] = {
    "another attention": lambda block: setattr(block.attn, "__class__", _OtherAttention),
    "another qkv": lambda block: setattr(block.attn, "qkv", _Own(16, 48).double()),
    "another projection": lambda block: setattr(block.attn, "proj", _Own(16, 16).double()),
    "another first layer": lambda block: setattr(block.mlp, "fc1", _Own(16, 64).double()),
    "a norm over tokens": lambda block: setattr(block, "norm2", _Mixing(16).double()),
    "a dropout of its own": lambda block: setattr(block.attn, "attn_drop", nn.AlphaDropout(0.1)),
    "a piece more": lambda block: block.attn.add_module("adapter", nn.Linear(16, 16)),
    "a forward of its own": _own_forward,
    "something after the FFN": lambda block: setattr(block.mlp, "drop2", nn.Tanh()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_block_with_something_unknown_has_no_parts(change: str) -> None:
    model = make_vit()
    assert open_vit(model).parts(1) is not None
    CHANGES[change](model.blocks[1])
    assert open_vit(model).parts(1) is None


def test_parts_pass_gradients_to_the_stream_alone() -> None:
    vit = open_vit(make_vit(qk_norm=True, init_values=0.5))
    stream = stream_of(vit).requires_grad_()
    with undisturbed(vit.model):
        for tokens in (ALL, slice(0, 1)):
            parts = parts_of(vit, 0)
            (actual,) = torch.autograd.grad(parts.feed(parts.attend(stream, tokens)).square().sum(), stream)
            (expected,) = torch.autograd.grad(vit.block(0, stream)[:, tokens].square().sum(), stream)
            torch.testing.assert_close(actual, expected, **CLOSE)
    assert all(parameter.grad is None for parameter in vit.model.parameters())
