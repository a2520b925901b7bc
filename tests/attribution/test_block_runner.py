"""The engine's way through a block equals the whole block, in values and tangents, and costs what it promises."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from benchmarks.flops import flops
from nplight import joint_score, open_vit, search
from nplight.attribution import plain_search
from nplight.attribution.block_runner import BlockRunner
from nplight.attribution.jvp import block_jvp
from nplight.neurons import overwrite
from nplight.vit import OpenViT, undisturbed
from nplight.vit.parts import ALL
from tests.conftest import make_vit
from tests.searching.test_search import EXACT, assert_same
from tests.vit.test_parts import BUILDERS, CLOSE, stream_of


def drawn(vit: OpenViT, stream: Tensor) -> tuple[Tensor, Tensor]:
    """A tangent of the stream, and neurons for its path tokens."""
    generator = torch.Generator().manual_seed(1)
    tokens = stream[:, vit.path_tokens].shape[1]
    tangent = torch.randn(stream.shape, generator=generator, dtype=stream.dtype)
    return tangent, torch.randn(len(stream), tokens, vit.widths[0], generator=generator, dtype=stream.dtype)


@pytest.mark.parametrize("model", BUILDERS)
def test_values_and_jvps_are_those_of_torch_on_the_whole_block(model: str) -> None:
    vit = open_vit(BUILDERS[model]())
    stream = stream_of(vit)
    tangent, value = drawn(vit, stream)
    with undisturbed(vit.model), torch.no_grad():
        runner = BlockRunner(vit)
        for layer in range(vit.depth):
            live = runner.live(layer)
            assert live == (vit.path_tokens if layer == 2 and vit.head_takes_path_tokens() else ALL)
            with overwrite(vit, {layer: value}):
                expected = block_jvp(vit, layer, stream, tangent)
            actual = runner.block_jvp(layer, stream, tangent, value)
            for one, other in zip(actual, expected):
                torch.testing.assert_close(one, other[:, live], **CLOSE)
            torch.testing.assert_close(runner.block(layer, stream, value), expected[0][:, live], **CLOSE)
            torch.testing.assert_close(runner.block(layer, stream), vit.block(layer, stream)[:, live], **CLOSE)


def halve(module: nn.Module, arguments: object, output: Tensor) -> Tensor:
    return 0.5 * output


def halve_entering(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (0.5 * arguments[0], *arguments[1:])


HOOKED: dict[str, Callable[[VisionTransformer], object]] = {
    "after a norm": lambda vit: vit.blocks[1].norm1.register_forward_hook(halve),
    "before the queries": lambda vit: vit.blocks[1].attn.qkv.register_forward_pre_hook(halve_entering),
    "after the attention": lambda vit: vit.blocks[1].attn.register_forward_hook(halve),
    "after the activation": lambda vit: vit.blocks[2].mlp.act.register_forward_hook(halve),
    "on the way to the neurons": lambda vit: vit.blocks[2].mlp.fc2.register_forward_pre_hook(halve_entering),
    "before a block": lambda vit: vit.blocks[2].register_forward_pre_hook(halve_entering),
    "in the head": lambda vit: vit.norm.register_forward_hook(halve),
}


@pytest.mark.parametrize("place", HOOKED)
def test_what_somebody_hooks_is_searched_as_hooked(place: str, images: Tensor, targets: Tensor) -> None:
    plain = search(make_vit(), images, targets, steps=3, top_k=2)
    model = make_vit()
    HOOKED[place](model)
    with undisturbed(model):
        expected = plain_search(open_vit(model), images, targets, steps=3, top_k=2)
    actual = search(model, images, targets, steps=3, top_k=2)
    assert_same(actual, expected)
    assert not torch.allclose(actual.scores, plain.scores)
    scores = joint_score(model, images, targets, expected.neurons, steps=3)
    torch.testing.assert_close(scores, expected.scores, **EXACT)


def test_the_last_block_makes_neither_keys_nor_values_nor_other_tokens() -> None:
    """For one query a head, less work than one projection of all tokens."""
    vit = open_vit(make_vit(img_size=32, embed_dim=32))
    stream = torch.randn(1, 65, 32, dtype=torch.float64)
    projection = 2 * 65 * 32 * 32
    with undisturbed(vit.model), torch.no_grad():
        runner = BlockRunner(vit)
        assert flops(lambda: runner.block(2, stream)) < projection
        assert flops(lambda: runner.block(1, stream)) > 12 * projection


def test_neurons_that_are_overwritten_are_not_computed() -> None:
    vit = open_vit(make_vit(global_pool="avg", class_token=False, img_size=32, embed_dim=32))
    stream, value = torch.randn(1, 64, 32, dtype=torch.float64), torch.randn(1, 64, 128, dtype=torch.float64)
    up = 2 * 64 * 32 * 128
    with undisturbed(vit.model), torch.no_grad():
        runner = BlockRunner(vit)
        assert flops(lambda: runner.block(1, stream, value)) == flops(lambda: runner.block(1, stream)) - up


def test_a_block_that_is_not_known_in_parts_runs_as_a_whole_and_says_so_otherwise() -> None:
    vit = open_vit(make_vit())
    vit.model.blocks[1].attn.register_forward_hook(halve)
    stream = stream_of(vit)
    with undisturbed(vit.model), torch.no_grad():
        runner = BlockRunner(vit)
        assert not runner.in_parts
        torch.testing.assert_close(runner.block(1, stream), vit.block(1, stream), **CLOSE)
        with pytest.raises(RuntimeError, match="block 1 is not known in parts; check `in_parts` first"):
            runner.attended(1, stream)
