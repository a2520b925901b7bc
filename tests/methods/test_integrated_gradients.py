from __future__ import annotations

import torch
from torch import Tensor

from nplight import search
from tests.conftest import make_vit
from tests.methods.definitions import Plain


def test_integrated_gradients_are_complete_as_the_nodes_grow(images: Tensor, targets: Tensor) -> None:
    vit = make_vit()
    actual = search(vit, images, targets, method="integrated_gradients", steps=64, rule="gauss-legendre", ranked=64)
    linears = [block.mlp.fc2 for block in vit.blocks]
    for one, image in enumerate(images.unsqueeze(1)):
        plain = Plain(vit, linears, image, int(targets[one]), [0])
        clean, values = plain.run(image)
        for layer in range(3):
            without, _ = plain.run(image, {layer: torch.zeros_like(plain.at(values[layer]))})
            total = actual.ranking_scores[one, layer].sum()
            torch.testing.assert_close(total, (clean - without).detach(), rtol=1e-9, atol=1e-9)
