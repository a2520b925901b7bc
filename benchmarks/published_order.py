"""The order of work of the paper's published program, in plain code: the yardstick of the benchmarks.

For every layer and node one whole forward pass, and then one backward pass for each entry of the path so far and one
for the layer that is searched.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution import clean_pass, quadrature, target_probability
from nplight.neurons import overwrite
from nplight.vit import OpenViT


def published_search(vit: OpenViT, images: Tensor, targets: Tensor, *, steps: int) -> tuple[Tensor, Tensor]:
    """Layer-progressive search for one neuron a layer.

    Args:
        vit: the opened model, undisturbed, with one path token.
        images: (images, channels, height, width).
        targets: (images,) int64.
        steps: quadrature nodes.

    Returns:
        The neurons (images, layers) and their joint attribution scores (images, layers).
    """
    values = [value.squeeze(1) for _, value in sorted(clean_pass(vit, images).values.items())]
    rows = torch.arange(len(images), device=images.device)
    chosen: list[Tensor] = []
    scores: list[Tensor] = []
    for layer in range(vit.depth):
        total, path_total = torch.zeros_like(values[layer]), torch.zeros_like(values[layer][:, :1])
        for alpha, weight in zip(*(one.tolist() for one in quadrature(steps))):
            edited = [value.clone() for value in values[: layer + 1]]
            for earlier, neuron in enumerate(chosen):
                edited[earlier][rows, neuron] *= alpha
            edited[layer] *= alpha
            leaves = [one.requires_grad_() for one in edited]
            with overwrite(vit, {at: leaf.unsqueeze(1) for at, leaf in enumerate(leaves)}):
                probability = target_probability(vit.forward(images), targets).sum()
            for at, leaf in enumerate(leaves):
                (gradient,) = torch.autograd.grad(probability, leaf, retain_graph=at < layer)
                if at == layer:
                    total += weight * gradient
                else:
                    path_total += weight * gradient[rows, chosen[at]].unsqueeze(1)
        path_value = sum((values[at][rows, neuron] for at, neuron in enumerate(chosen)), torch.zeros_like(rows))
        joint = (values[layer] + path_value.unsqueeze(1)) * (total + path_total)
        best = joint.max(1)
        chosen.append(best.indices)
        scores.append(best.values)
    return torch.stack(chosen, 1), torch.stack(scores, 1)
