from __future__ import annotations

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import open_vit
from nplight.attribution import plain_joint_score, plain_search, quadrature
from nplight.vit import undisturbed
from tests.conftest import Reference
from tests.neurons.test_intervene import with_class_token


def test_the_oracle_reproduces_the_published_program(reference: Reference) -> None:
    some = slice(0, 80, 10)
    with undisturbed(reference.model):
        actual = plain_search(open_vit(reference.model), reference.images[some], reference.labels[some])
    assert torch.equal(actual.neurons, reference.neurons[some])
    torch.testing.assert_close(actual.scores, reference.expected["jas_score"][some], rtol=1e-9, atol=1e-12)


def test_the_joint_score_is_the_sum_it_is_defined_as(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    """Against numerical differentiation of a forward pass that is written by hand."""
    neurons = torch.tensor([[3, 9], [0, 1], [50, 2]]).expand(4, 3, 2)
    nodes, weights = quadrature(5, "gauss-legendre")
    clean: dict[int, Tensor] = {}

    def probability(alpha: float, shift: float) -> Tensor:
        def edit(layer: int, values: Tensor) -> Tensor:
            on_path = torch.zeros_like(values).scatter(1, neurons[:, layer], 1)
            return clean[layer] * torch.where(on_path == 1, alpha, 1.0) + shift * on_path

        return with_class_token(vit, images, edit).softmax(1).gather(1, targets[:, None])[:, 0]

    def keep(layer: int, values: Tensor) -> Tensor:
        clean[layer] = values
        return values

    with torch.no_grad():
        with_class_token(vit, images, keep)
        step = 1e-5
        slopes = [(probability(float(alpha), step) - probability(float(alpha), -step)) / (2 * step) for alpha in nodes]
        value = torch.stack([clean[layer].gather(1, neurons[:, layer]).sum(1) for layer in range(3)]).sum(0)
        expected = value * (torch.stack(slopes, 1) @ weights)
    with undisturbed(vit):
        actual = plain_joint_score(open_vit(vit), images, targets, neurons, steps=5, rule="gauss-legendre")
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-9)
