from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from nplight import open_vit
from nplight.attribution.jvp import block_jvp, dual_level, lost_tangent
from nplight.vit import undisturbed
from tests.conftest import make_vit


def test_a_block_and_its_jvp_are_its_value_and_its_slope(images: Tensor) -> None:
    vit = open_vit(make_vit())
    with undisturbed(vit.model), torch.no_grad():
        stream = vit.embed(images)
        tangent = torch.randn(stream.shape, generator=torch.Generator().manual_seed(1), dtype=stream.dtype)
        value, jvp = block_jvp(vit, 1, stream, tangent)
        torch.testing.assert_close(value, vit.block(1, stream))
        step = 1e-6
        slope = (vit.block(1, stream + step * tangent) - vit.block(1, stream - step * tangent)) / (2 * step)
        torch.testing.assert_close(jvp, slope, rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(block_jvp(vit, 1, stream, -2 * tangent)[1], -2 * jvp)


def test_the_level_is_closed_after_an_error_and_says_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(KeyError), dual_level():  # noqa: PT012
            assert forward_ad._current_level == 0
            raise KeyError
    assert forward_ad._current_level == -1


def test_a_block_that_loses_its_tangent_is_an_error_with_the_way_out(images: Tensor) -> None:
    vit = open_vit(make_vit())
    with undisturbed(vit.model), torch.inference_mode():
        stream = vit.embed(images)
        with pytest.raises(RuntimeError, match=r"block 0 lost its tangent.*leave torch.inference_mode"):
            block_jvp(vit, 0, stream, torch.ones_like(stream))
    assert "block 3" in str(lost_tangent(3))
