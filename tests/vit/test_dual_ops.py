"""Each operation equals torch's, and its JVP the finite differences."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from timm.layers import LayerNorm, RmsNorm
from torch import Tensor, nn
from torch.autograd import forward_ad

from nplight.attribution.jvp import dual_level
from nplight.vit import dual_ops


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def norm(kind: type[nn.Module], **arguments: bool) -> nn.Module:
    made = kind(6, **arguments).double()
    for number, parameter in enumerate(made.parameters()):
        parameter.data = drawn(6, seed=number + 10)
    return made.requires_grad_(False)


WEIGHT, BIAS = drawn(7, 6, seed=1), drawn(7, seed=2)
SQUARE, SIX, SCALE = drawn(6, 6, seed=3), drawn(6, seed=4), drawn(6, seed=5)
LAYER_NORM, BARE, TIMM, RMS = (
    norm(nn.LayerNorm),
    norm(nn.LayerNorm, elementwise_affine=False),
    norm(LayerNorm),
    norm(RmsNorm),
)
OPERATIONS: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor], int]] = {
    "affine": (
        lambda one: dual_ops.affine(one, WEIGHT, BIAS),
        lambda one: nn.functional.linear(one, WEIGHT, BIAS),
        1,
    ),
    "affine without bias": (lambda one: dual_ops.affine(one, WEIGHT), lambda one: one @ WEIGHT.T, 1),
    "added": (
        lambda stream, values: dual_ops.added(stream, values, SQUARE, SIX),
        lambda stream, values: stream + nn.functional.linear(values, SQUARE, SIX),
        2,
    ),
    "added without bias": (
        lambda stream, values: dual_ops.added(stream, values, SQUARE),
        lambda stream, values: stream + values @ SQUARE.T,
        2,
    ),
    "added by a scale": (
        lambda stream, values: dual_ops.added(stream, values, SQUARE, SIX, SCALE),
        lambda stream, values: stream + nn.functional.linear(values, SQUARE, SIX) * SCALE,
        2,
    ),
    "layer norm": (lambda one: dual_ops.normalised(LAYER_NORM, one), LAYER_NORM, 1),
    "layer norm without weights": (lambda one: dual_ops.normalised(BARE, one), BARE, 1),
    "timm's layer norm": (lambda one: dual_ops.normalised(TIMM, one), TIMM, 1),
    "another norm": (lambda one: dual_ops.normalised(RMS, one), RMS, 1),
    "softmax attention": (
        lambda *three: dual_ops.attention(*(one.unsqueeze(1) for one in three), 0.3),
        lambda query, key, value: ((query @ key.mT * 0.3).softmax(-1) @ value).unsqueeze(1),
        3,
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_equals_torchs_and_its_jvp_the_finite_differences(operation: str) -> None:
    function, plain, count = OPERATIONS[operation]
    inputs = [drawn(2, 4, 6, seed=number + 20) for number in range(count)]
    tangents = [drawn(2, 4, 6, seed=number + 30) for number in range(count)]
    before = [one.clone() for one in inputs]
    torch.testing.assert_close(function(*inputs), plain(*inputs))
    assert all(torch.equal(*pair) for pair in zip(inputs, before))
    assert torch.autograd.gradcheck(function, [one.clone().requires_grad_() for one in inputs])
    with torch.no_grad(), dual_level():
        duals = [forward_ad.make_dual(*pair) for pair in zip(inputs, tangents)]
        value, along = forward_ad.unpack_dual(function(*duals))
    step = 1e-6
    ahead, behind = (
        plain(*(one + sign * step * tangent for one, tangent in zip(inputs, tangents))) for sign in (1, -1)
    )
    torch.testing.assert_close(value, plain(*inputs))
    torch.testing.assert_close(along, (ahead - behind) / (2 * step), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("moving", [0, 1])
def test_what_is_added_has_a_tangent_where_one_of_the_two_has(moving: int) -> None:
    pair, tangent = [drawn(2, 4, 6), drawn(2, 4, 6, seed=1)], drawn(2, 4, 6, seed=2)
    with torch.no_grad(), dual_level():
        pair[moving] = forward_ad.make_dual(pair[moving], tangent)
        _, along = forward_ad.unpack_dual(dual_ops.added(*pair, SQUARE, SIX))
        torch.testing.assert_close(along, tangent @ SQUARE.T if moving else tangent)


def test_what_is_added_may_be_of_another_dtype() -> None:
    stream, values, weight, bias = (one.float() for one in (drawn(2, 4, 6), drawn(2, 4, 6, seed=1), SQUARE, SIX))
    expected = stream + nn.functional.linear(values, weight, bias)
    with torch.autocast("cpu", torch.bfloat16):
        actual = dual_ops.added(stream, values, weight, bias)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, expected, rtol=0.02, atol=0.05)
    half = dual_ops.added(stream, values.half(), weight.half(), bias.half())
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, expected, rtol=0.01, atol=0.01)


def test_a_tangent_is_of_the_dtype_of_its_value_under_autocast() -> None:
    stream, tangent = drawn(2, 4, 6).float(), drawn(2, 4, 6, seed=1).float()
    with torch.no_grad(), dual_level(), torch.autocast("cpu", torch.bfloat16):
        dual = dual_ops.affine(forward_ad.make_dual(stream, tangent), WEIGHT.float(), BIAS.float())
        value, along = forward_ad.unpack_dual(dual)
    assert value.dtype == along.dtype == torch.bfloat16
    torch.testing.assert_close(along.float(), tangent @ WEIGHT.float().T, rtol=0.02, atol=0.05)
