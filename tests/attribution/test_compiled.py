"""Blocks that somebody has compiled: the same results, by compiled code where nothing is edited."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn

from nplight import open_vit, search
from nplight.attribution import BlockRunner, plain_search
from nplight.vit import undisturbed
from tests.conftest import make_vit
from tests.searching.test_search import assert_same

# torch's tracer looks at the gradients of what it is given, and where warnings are errors stumbles over its own.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")

OPTIONS: dict[str, Any] = {"steps": 3, "ranked": 4}


@pytest.fixture(autouse=True)
def traced_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Traced, or compiled down to torch's own operations: a C++ compiler takes a minute for no other result."""
    with patch("torch.compile", partial(torch.compile, backend=getattr(request, "param", "eager"))):
        yield
    torch._dynamo.reset()


def compile_blocks(model: nn.Module) -> nn.Module:
    for block in open_vit(model).blocks():
        block.compile()
    return model


@pytest.mark.parametrize(
    ("traced_alone", "compile_model"),
    [("aot_eager", compile_blocks), ("eager", lambda model: model.compile() or model)],
    indirect=["traced_alone"],
)
def test_a_search_of_compiled_blocks_equals_the_oracle(images: Tensor, targets: Tensor, compile_model: Any) -> None:
    model = compile_model(make_vit(depth=2))
    with undisturbed(model):
        expected = plain_search(open_vit(model), images, targets, **OPTIONS)
    called = {name: module._compiled_call_impl for name, module in model.named_modules()}
    assert_same(search(model, images, targets, chunk_size=5, **OPTIONS), expected)
    assert called == {name: module._compiled_call_impl for name, module in model.named_modules()}


def test_compiled_code_runs_and_is_kept_while_the_weights_stay(images: Tensor, targets: Tensor) -> None:
    model = compile_blocks(make_vit(depth=2))
    vit = open_vit(model)
    with patch("torch.compile", side_effect=torch.compile) as compile_:
        search(model, images, targets, **OPTIONS)
        search(model, images, targets, **OPTIONS)
        assert compile_.call_count == vit.depth
        search(model.float(), images.float(), targets, **OPTIONS)
        assert compile_.call_count == 2 * vit.depth
    with undisturbed(model), patch.object(BlockRunner, "_attended", side_effect=AssertionError("not compiled")):
        assert BlockRunner(vit).block(0, torch.zeros(2, 5, 16)).shape == (2, 5, 16)


def test_the_frozen_patch_stream_of_compiled_blocks(images: Tensor, targets: Tensor) -> None:
    expected = search(make_vit(depth=2), images, targets, patch_stream="frozen", **OPTIONS)
    assert_same(search(compile_blocks(make_vit(depth=2)), images, targets, patch_stream="frozen", **OPTIONS), expected)
