"""Edits reach models that were compiled, also those whose compiled code is there already."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from nplight import intervene, record, search
from nplight.vit import Uncompiled, open_vit
from tests.conftest import make_vit

# torch's tracer looks at the gradients of what it is given, and where warnings are errors stumbles over its own.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")

PATH = torch.tensor([[1]])

Compile = Callable[[nn.Module], Callable[[Tensor], Tensor]]


@pytest.fixture(autouse=True)
def _nothing_compiled_before() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    assert torch._dynamo.eval_frame._stance.stance == "default"
    torch._dynamo.reset()


def in_place(model: nn.Module) -> nn.Module:
    model.compile(backend="eager")
    return model


def blocks(model: nn.Module) -> nn.Module:
    for block in open_vit(model).blocks():
        block.forward = torch.compile(block.forward, backend="eager")
    return model


KINDS: dict[str, Compile] = {
    "torch.compile(model)": lambda model: torch.compile(model, backend="eager"),
    "model.compile()": in_place,
    "a function that runs the model": lambda model: torch.compile(lambda images: model(images), backend="eager"),
    "the forward of each block": blocks,
}


@pytest.mark.parametrize("called", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_of_a_compiled_model_is_that_of_the_model(kind: str, called: bool, images: Tensor) -> None:
    with torch.no_grad():
        plain = make_vit(depth=1)
        clean = plain(images)
        with intervene(plain, PATH, "remove"), record(plain) as expected_values:
            expected = plain(images)

        model = make_vit(depth=1)
        compiled = KINDS[kind](model)
        if called:
            compiled(images)
        # `torch.compile` gives a module of its own, which opens as well as the model.
        with intervene(compiled if isinstance(compiled, nn.Module) else model, PATH, "remove"), record(model) as values:
            assert torch.equal(compiled(images), expected)
        assert all(torch.equal(values[layer], expected_values[layer]) for layer in values)
        torch.testing.assert_close(compiled(images), clean)


def test_compiled_code_is_used_again_after_an_edit(images: Tensor) -> None:
    runs: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        runs.append(0)

        def run(*arguments: Tensor) -> object:
            runs[-1] += 1
            return graph(*arguments)

        return run

    compiled = torch.compile(make_vit(depth=1), backend=backend)
    with torch.no_grad():
        compiled(images)
        with intervene(compiled, PATH, "remove"):
            compiled(images)
        assert runs == [1]
        compiled(images)
    assert runs == [2]


def test_a_compiled_model_is_searched_inside_an_edit(images: Tensor) -> None:
    plain = make_vit(depth=1)
    with intervene(plain, PATH, "remove"):
        expected = search(plain, images, steps=2)
    compiled = torch.compile(make_vit(depth=1), backend="eager")
    with torch.no_grad():
        compiled(images)
    with intervene(compiled, PATH, "remove"):
        actual = search(compiled, images, steps=2)
    assert torch.equal(actual.neurons, expected.neurons)
    assert torch.equal(actual.probability, expected.probability)


def test_handles_may_be_removed_in_any_order_and_twice() -> None:
    """As those of two threads are."""
    first, second = Uncompiled(), Uncompiled()
    first.remove()
    first.remove()
    assert torch._dynamo.eval_frame._stance.stance == "force_eager"
    second.remove()


def test_what_somebody_had_set_is_put_back() -> None:
    with torch.compiler.set_stance("eager_on_recompile"):
        Uncompiled().remove()
        assert torch._dynamo.eval_frame._stance.stance == "eager_on_recompile"
