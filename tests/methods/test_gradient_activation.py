from __future__ import annotations

import torch
from torch import Tensor

from nplight import search
from nplight.neurons import record
from tests.conftest import make_vit
from tests.methods.test_table import all_scores


def test_it_is_the_slope_of_the_probability_as_a_neuron_is_scaled(images: Tensor, targets: Tensor) -> None:
    """∂F/∂s at s = 1, where s multiplies the neuron: by finite differences of forward passes."""
    vit = make_vit()
    scores = all_scores(search(vit, images, targets, method="gradient_activation", ranked=64))
    with torch.no_grad(), record(vit):
        vit(images)

    def probability(layer: int, neuron: int, factor: float) -> Tensor:
        scale = torch.ones(64, dtype=torch.float64)
        scale[neuron] = factor

        def scaled(module: object, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            values = arguments[0]
            return (torch.cat([values[:, :1] * scale, values[:, 1:]], 1),)

        handle = vit.blocks[layer].mlp.fc2.register_forward_pre_hook(scaled)
        with torch.no_grad():
            result = vit(images).softmax(-1).gather(1, targets[:, None])[:, 0]
        handle.remove()
        return result

    step = 1e-5
    for layer, neuron in ((0, 5), (1, 63), (2, 0)):
        slope = (probability(layer, neuron, 1 + step) - probability(layer, neuron, 1 - step)) / (2 * step)
        torch.testing.assert_close(scores[:, layer, neuron], slope, rtol=1e-6, atol=1e-9)
