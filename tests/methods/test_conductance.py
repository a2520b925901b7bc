"""Conductance against captum, an implementation that is not ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from captum.attr import LayerConductance
from torch import Tensor

from nplight import RULES, search
from tests.conftest import Reference, make_vit
from tests.methods.test_table import all_scores

METHOD_OF_CAPTUM = {
    "riemann-left": "riemann_left",
    "riemann-right": "riemann_right",
    "midpoint": "riemann_middle",
    "trapezoid": "riemann_trapezoid",
    "gauss-legendre": "gausslegendre",
}


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    """Captum makes its nodes in the default precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def captum(model: torch.nn.Module, images: Tensor, targets: Tensor, tokens: slice, steps: int, rule: str) -> Tensor:
    """(images, layers, width), summed over the path tokens."""
    scores = []
    for block in model.blocks:
        layer = LayerConductance(lambda image: model(image).softmax(-1), block.mlp.fc2)
        actual = layer.attribute(
            images, target=targets, n_steps=steps, method=METHOD_OF_CAPTUM[rule], attribute_to_layer_input=True
        )
        scores.append(actual[:, tokens].sum(1).detach())
    return torch.stack(scores, 1)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("pool", "tokens"), [("token", slice(0, 1)), ("avg", slice(1, None))])
def test_conductance_equals_that_of_captum(
    images: Tensor, targets: Tensor, pool: str, tokens: slice, rule: str
) -> None:
    vit = make_vit(global_pool=pool)
    expected = captum(vit, images, targets, tokens, 7, rule)
    for chunk_size in (3, 8, None):
        actual = search(
            vit, images, targets, method="conductance", steps=7, rule=rule, ranked=64, chunk_size=chunk_size
        )
        torch.testing.assert_close(all_scores(actual), expected, rtol=1e-9, atol=1e-12)


def test_conductance_equals_that_of_captum_on_a_trained_model(reference: Reference) -> None:
    model, images, labels = reference.model.eval(), reference.images[::16], reference.labels[::16]
    width = model.blocks[0].mlp.fc2.in_features
    actual = search(model, images, labels, method="conductance", ranked=width)
    expected = captum(model, images, labels, slice(0, 1), 20, "riemann-left")
    torch.testing.assert_close(all_scores(actual), expected, rtol=1e-9, atol=1e-12)
    assert torch.equal(actual.neurons.squeeze(2), expected.argmax(2))
