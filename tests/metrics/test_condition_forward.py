from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nplight import open_vit, references
from nplight.metrics import Condition, ConditionForward
from nplight.neurons import TOKENS, Tokens
from nplight.vit import undisturbed
from tests.conftest import make_vit


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize("fill", ["zero", "mean"])
def test_with_every_neuron_pruned_all_of_them_hold_the_fill(images: Tensor, tokens: Tokens, fill: str) -> None:
    model = make_vit()
    vit = open_vit(model)
    gathered = {} if fill == "zero" else {tokens: references(model, [images], "mean", tokens=tokens)}
    with torch.no_grad(), undisturbed(model):
        forward = ConditionForward(vit, images, references=gathered)
        (found,) = forward.probabilities([Condition("none", tokens=tokens)], {})

    def hook(layer: int) -> object:
        def write(_: object, arguments: tuple[Tensor]) -> tuple[Tensor]:
            neurons, value = arguments[0].clone(), 0 if fill == "zero" else gathered[tokens].of()[layer]
            neurons[:, : 1 if tokens == "path" else None] = value
            return (neurons,)

        return write

    for layer, block in enumerate(model.blocks):
        block.mlp.fc2.register_forward_pre_hook(hook(layer))  # type: ignore[union-attr, operator]
    with torch.no_grad():
        torch.testing.assert_close(found, model.eval()(images).softmax(1))


def test_what_depends_on_no_path_is_predicted_once(images: Tensor) -> None:
    vit = open_vit(make_vit())
    conditions = [Condition("clean"), Condition("none"), Condition("removed", 2), Condition("none", tokens="all")]
    with torch.no_grad(), undisturbed(vit.model):
        forward = ConditionForward(vit, images)
        first, second = (
            forward.logits(conditions, {2: torch.full((len(images), vit.depth, 2), neuron)}) for neuron in (0, 7)
        )
    same = [one is other for one, other in zip(first, second)]
    assert same == [True, True, False, True]
    assert not torch.equal(first[2], second[2])


def test_edits_of_the_first_layers_leave_the_others_alone(images: Tensor) -> None:
    model = make_vit()
    vit, path = open_vit(model), torch.arange(4).expand(len(images), 3, 4)
    recorded: dict[int, Tensor] = {}
    for layer, block in enumerate(model.blocks):
        block.mlp.fc2.register_forward_hook(  # type: ignore[union-attr, operator]
            lambda _, arguments, output, layer=layer: recorded.update({layer: arguments[0][:, 0]})
        )
    with torch.no_grad(), undisturbed(model):
        ConditionForward(vit, images).probabilities([Condition("removed", 4, layers=2)], {4: path})
    assert [bool((recorded[layer][:, :4] == 0).all()) for layer in range(3)] == [True, True, False]
