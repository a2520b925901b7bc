"""The joint attribution score of a given path, all nodes at once."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.clean import CleanPass, target_probability
from nplight.attribution.quadrature import integral
from nplight.neurons import overwrite
from nplight.vit import OpenViT


def path_score(
    vit: OpenViT,
    clean: CleanPass,
    targets: Tensor,
    neurons: Tensor,
    *,
    nodes: Tensor,
    weights: Tensor,
    chunk_size: int,
) -> Tensor:
    """Joint attribution score of each image's path (Wang et al., ICLR 2025, Eq. 3), (images,).

    The sum of ∂F/∂z over the path is one derivative: that along a shift, one for each path token, of all the path's
    neurons together. So a single backward pass to the shifts serves all layers.

    Args:
        vit: the opened model, undisturbed.
        clean: the clean pass of the images.
        targets: (images,) int64.
        neurons: (images, layers, K) int64, distinct in a layer.
        nodes: (m,) quadrature nodes.
        weights: (m,) quadrature weights.
        chunk_size: (image, node) rows in flight.
    """
    images = clean.images
    picks = neurons.unsqueeze(2).unbind(1)  # for each layer (images, 1, K)
    tokens = clean.values[0].shape[1]
    on_path = {
        layer: torch.zeros_like(value).scatter_(2, picks[layer].expand(-1, tokens, -1), 1)
        for layer, value in clean.values.items()
    }
    path_value = torch.stack([(clean.values[layer] * mask).sum(2) for layer, mask in on_path.items()]).sum(0)
    nodes, weights = nodes.to(path_value), weights.to(path_value)
    with torch.no_grad():
        stream = vit.embed(images)

    gradients = []
    for row in torch.arange(len(images) * len(nodes), device=images.device).split(chunk_size):
        image, node = row // len(nodes), row % len(nodes)
        shift = torch.zeros(len(row), tokens, dtype=path_value.dtype, device=images.device, requires_grad=True)
        scaled = {
            layer: torch.lerp(value[image], value[image] * nodes[node, None, None], on_path[layer][image])
            + shift.unsqueeze(2) * on_path[layer][image]
            for layer, value in clean.values.items()
        }
        with overwrite(vit, scaled):
            probability = target_probability(vit.forward_from(0, stream[image]), targets[image])
        gradients.append(torch.autograd.grad(probability.sum(), shift)[0])
    gradient: Tensor = torch.cat(gradients).unflatten(0, (len(images), len(nodes)))
    return (path_value * integral(weights, gradient)).mean(1)
