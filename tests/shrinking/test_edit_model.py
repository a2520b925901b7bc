"""An edit in the weights is the edit by hooks at all tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import edit_model, intervene, open_vit, search
from nplight.errors import ArgumentError
from nplight.planted import TRIGGERS, build_trigger
from tests.shrinking.test_shrink import OPENED, logits_of, some_neurons
from tests.vit.families import Case


def scaled_by_hooks(model: Any, neurons: list[Tensor], scale: float, images: Tensor) -> Tensor:
    handles = []
    for down, chosen in zip(open_vit(model).down, neurons):
        factors = torch.ones(down.width, dtype=torch.float64)
        factors[chosen] = scale

        def multiply(module: Any, arguments: Any, factors: Tensor = factors) -> Any:
            return (arguments[0] * factors.to(arguments[0]),)

        handles.append(down.linear.register_forward_pre_hook(multiply))
    logits = logits_of(model, images)
    for handle in handles:
        handle.remove()
    return logits


@pytest.mark.parametrize("case", OPENED, ids=lambda case: f"{case.family} {case.variant}")
def test_every_family_is_edited_as_by_hooks(case: Case, images: Tensor) -> None:
    model = case.build()
    neurons = some_neurons(model)
    for scale in (0, -1.5):
        edited = edit_model(model, neurons, scale)
        expected = scaled_by_hooks(model, neurons, scale, images)
        torch.testing.assert_close(logits_of(edited, images), expected, rtol=0, atol=1e-9)
        assert not torch.allclose(expected, logits_of(model, images))
        assert open_vit(edited).widths == open_vit(model).widths


def test_a_removal_and_an_enhancement_are_those_of_intervene(vit: VisionTransformer, images: Tensor) -> None:
    path = torch.tensor([[0, 5], [1, 3], [60, 2]])
    for operation, scale in (("remove", 0.0), ("enhance", 2.0)):
        with intervene(vit, path, operation, tokens="all"):  # type: ignore[arg-type]
            expected = logits_of(vit, images)
        torch.testing.assert_close(logits_of(edit_model(vit, path, scale), images), expected, rtol=0, atol=1e-9)


def test_a_layer_may_have_none_and_a_factor_of_one_changes_no_bit(vit: VisionTransformer, images: Tensor) -> None:
    nothing = torch.tensor([], dtype=torch.int64)
    neurons = [nothing, torch.arange(9), nothing]
    assert torch.equal(logits_of(edit_model(vit, neurons, 1), images), logits_of(vit, images))
    edited: Any = edit_model(vit, neurons, 0)
    assert edited.blocks[1].mlp.fc2.weight[:, :9].count_nonzero() == 0
    untouched = [(name, value) for name, value in vit.state_dict().items() if name != "blocks.1.mlp.fc2.weight"]
    assert all(torch.equal(edited.state_dict()[name], value) for name, value in untouched)


def test_a_model_whose_ffns_are_not_known_is_edited_too() -> None:
    planted = build_trigger(TRIGGERS["trigger_class_1"])
    edited = edit_model(planted.model, planted.paths[0], 0)
    expected = scaled_by_hooks(planted.model, list(planted.paths[0]), 0, planted.images)
    torch.testing.assert_close(logits_of(edited, planted.images), expected, rtol=0, atol=1e-5)


def test_what_is_no_edit_is_refused(vit: VisionTransformer, images: Tensor) -> None:
    path = torch.zeros(3, 1, dtype=torch.int64)
    for scale in (float("nan"), float("inf"), True, "0", None):
        with pytest.raises(ArgumentError, match="`scale` must be a finite number"):
            edit_model(vit, path, scale)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="at least one neuron of the model, got none of layers 0, 1, 2"):
        edit_model(vit, [torch.tensor([], dtype=torch.int64)] * 3, 0)
    with pytest.raises(ArgumentError, match="searched at the model's path tokens alone"):
        edit_model(vit, search(vit, images, steps=2), 0)
