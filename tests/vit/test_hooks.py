"""Somebody's hooks: in what is searched, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor, nn

from nplight import METHODS, UnsupportedModelError, joint_score, open_vit, search
from nplight.searching import CategorySearch
from tests.conftest import make_vit
from tests.vit.families import hugging_face_vit, torchvision_vit


def halve(module: nn.Module, arguments: Any, output: Any) -> Any:
    return output * 0.5


def halve_entering(module: nn.Module, arguments: Any) -> Any:
    return (arguments[0] * 0.5,)


LAYERS = "encoder.layers.encoder_layer"

MISPLACED: dict[str, tuple[Callable[[], Any], str, Callable[[nn.Module], object]]] = {
    "after the projection": (make_vit, "blocks.1.mlp.fc2", lambda module: module.register_forward_hook(halve)),
    "after the FFN": (make_vit, "blocks.0.mlp", lambda module: module.register_forward_hook(halve)),
    "after a block": (make_vit, "blocks.2", lambda module: module.register_forward_hook(halve)),
    "in the dropout of the FFN": (make_vit, "blocks.1.mlp.drop2", lambda one: one.register_forward_hook(halve)),
    "before the layer scale": (make_vit, "blocks.1.ls2", lambda one: one.register_forward_pre_hook(halve_entering)),
    "on the blocks together": (make_vit, "blocks", lambda module: module.register_forward_hook(halve)),
    "of the gradient": (make_vit, "blocks.1.mlp", lambda one: one.register_full_backward_hook(lambda *_: None)),
    "torchvision's FFN": (torchvision_vit, f"{LAYERS}_1.mlp", lambda module: module.register_forward_hook(halve)),
    "torchvision's encoder": (torchvision_vit, "encoder", lambda module: module.register_forward_hook(halve)),
    "transformers' FFN": (hugging_face_vit, "vit.layers.1.mlp", lambda module: module.register_forward_hook(halve)),
    "transformers' backbone": (hugging_face_vit, "vit", lambda m: m.register_forward_pre_hook(halve_entering)),
}  # fmt: skip


@pytest.mark.parametrize("case", MISPLACED)
def test_hooks_that_a_search_does_not_see_are_refused_where_they_stand(case: str, images: Tensor) -> None:
    build, name, register = MISPLACED[case]
    model = build()
    handle: Any = register(model.get_submodule(name))
    message = rf"must have no hooks between the neurons.*but has on {name}:.*Remove them"
    with pytest.raises(UnsupportedModelError, match=message):
        search(model, images, steps=2)
    handle.remove()
    search(model, images, steps=2)


@pytest.mark.parametrize("method", METHODS)
def test_no_method_overlooks_them(method: str, images: Tensor) -> None:
    model = make_vit()
    model.blocks[1].mlp.register_forward_hook(halve)
    with pytest.raises(UnsupportedModelError, match="must have no hooks"):
        search(model, images, method=method, steps=2)


def test_nor_do_scores_and_searches_by_category(images: Tensor, targets: Tensor) -> None:
    model = make_vit()
    neurons = search(model, images, steps=2).neurons
    model.blocks[0].register_forward_hook(halve)
    with pytest.raises(UnsupportedModelError, match="must have no hooks"):
        joint_score(model, images, targets, neurons, steps=2)
    with pytest.raises(UnsupportedModelError, match="must have no hooks"):
        CategorySearch(model, 5).update(images, targets)
    with pytest.raises(UnsupportedModelError, match="must have no hooks"):
        search(model, images, steps=2, patch_stream="frozen")


def test_a_model_that_is_hooked_after_it_was_opened_is_refused(images: Tensor) -> None:
    model = make_vit()
    vit = open_vit(model)
    model.register_forward_hook(halve)
    with pytest.raises(UnsupportedModelError, match="has on the model itself"):
        search(vit, images, steps=2)
