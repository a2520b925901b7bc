"""The order of work of the paper's published program, in plain code: the yardstick of the benchmarks.

For every layer one whole forward pass of all nodes at once, with attention taken apart and its graph kept, then one
backward pass for each entry of the path so far and one for the layer that is searched; at the end the same for the
joint score of the whole path. What it does, and in which order, is that of `path/joint_attr.py` in
https://github.com/foundation-model-research/NeuronPath; the code is not. Left out are a clean forward pass a layer and
a second score, of another path.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from nplight.attribution import clean_pass, quadrature, target_probability
from nplight.neurons import overwrite
from nplight.vit import OpenViT


def published_search(vit: OpenViT, images: Tensor, targets: Tensor, *, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Layer-progressive search for one neuron a layer.

    Args:
        vit: the opened model, undisturbed, with one path token.
        images: (images, channels, height, width).
        targets: (images,) int64.
        steps: quadrature nodes.

    Returns:
        The neurons (images, layers), their joint attribution scores as candidates (images, layers), and the joint
        attribution scores of the paths (images,).
    """
    values = [value.squeeze(1) for _, value in sorted(clean_pass(vit, images).values.items())]
    nodes, weights = (one.to(values[0]) for one in quadrature(steps))
    chosen: list[Tensor] = []
    scores: list[Tensor] = []
    for layer in range(vit.depth):
        edited = [_on_path(value, neuron, nodes) for value, neuron in zip(values, chosen)]
        edited.append(nodes[:, None, None] * values[layer])
        *earlier, last = _gradients(vit, images, targets, edited, weights)
        path_value, path_gradient = _sums(values, earlier, chosen)
        joint = (values[layer] + path_value) * (last + path_gradient)
        best = joint.max(1)
        chosen.append(best.indices)
        scores.append(best.values)
    edited = [_on_path(value, neuron, nodes) for value, neuron in zip(values, chosen)]
    path_value, path_gradient = _sums(values, _gradients(vit, images, targets, edited, weights), chosen)
    return torch.stack(chosen, 1), torch.stack(scores, 1), (path_value * path_gradient).squeeze(1)


def _on_path(value: Tensor, neuron: Tensor, nodes: Tensor) -> Tensor:
    """Clean values (images, width) with each image's neuron at every node times its value, (nodes, images, width)."""
    chosen = neuron.unsqueeze(1)
    scaled = nodes[:, None, None] * value.gather(1, chosen)
    return value.repeat(len(nodes), 1, 1).scatter(2, chosen.expand(len(nodes), -1, -1), scaled)


def _gradients(vit: OpenViT, images: Tensor, targets: Tensor, edited: list[Tensor], weights: Tensor) -> list[Tensor]:
    """∂F/∂z of every edited layer summed over the nodes by weight, (images, width) each."""
    steps = len(weights)
    leaves = [one.flatten(0, 1).requires_grad_() for one in edited]
    written = {layer: leaf.unsqueeze(1) for layer, leaf in enumerate(leaves)}
    with sdpa_kernel(SDPBackend.MATH), overwrite(vit, written):
        logits = vit.forward(images.repeat(steps, 1, 1, 1))
        probability = target_probability(logits, targets.repeat(steps)).sum()
        gradients = [torch.autograd.grad(probability, leaf, retain_graph=True)[0] for leaf in leaves]
    return [torch.einsum("n,niw->iw", weights, one.unflatten(0, (steps, -1))) for one in gradients]


def _sums(values: list[Tensor], gradients: list[Tensor], chosen: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Clean values and gradients of the path's neurons, summed over its layers, (images, 1) each."""
    nothing = torch.zeros_like(values[0][:, :1])
    picked = [
        (value.gather(1, neuron.unsqueeze(1)), gradient.gather(1, neuron.unsqueeze(1)))
        for value, gradient, neuron in zip(values, gradients, chosen)
    ]
    return sum((one for one, _ in picked), nothing), sum((other for _, other in picked), nothing)
