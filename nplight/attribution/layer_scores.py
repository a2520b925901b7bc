"""The joint attribution scores of one layer's neurons after a given path."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nplight.attribution.clean import CleanPass, at_least_float32, target_probability
from nplight.attribution.quadrature import integral
from nplight.neurons import at_sites, path_masks, replace_tokens
from nplight.neurons.sites import SiteFunction
from nplight.vit import OpenViT


def layer_scores(
    vit: OpenViT,
    clean: CleanPass,
    targets: Tensor,
    prefix: Tensor,
    *,
    nodes: Tensor,
    weights: Tensor,
    chunk_size: int,
) -> Tensor:
    """One step of the layer-progressive search (Wang et al., ICLR 2025, Algorithm 1), whoever chose the path so far.

    One backward pass a row: to the stream that leaves the layer, of which ∂F/∂z_l is the pull-back, and to a shift, one
    for each path token, of all the path's neurons together, whose derivative is the sum of ∂F/∂z over the path.

    Args:
        vit: the opened model, undisturbed.
        clean: the clean pass of the images.
        targets: (images,) int64.
        prefix: (images, l, K) int64, the path in the layers before l, distinct in a layer; l is the layer scored.
        nodes: (m,) quadrature nodes.
        weights: (m,) quadrature weights.
        chunk_size: (image, node) rows in flight.

    Returns:
        (images, width), the joint attribution score of each neuron of layer l; float32 at least, without a graph.
    """
    value = clean.values[prefix.shape[1]]
    masks = [mask.unsqueeze(1) for mask in path_masks(prefix, vit.widths[: prefix.shape[1]])]
    path_value = value.new_zeros(value.shape[:2])
    for layer, mask in enumerate(masks):
        path_value += (clean.values[layer] * mask).sum(2)

    nodes, weights = nodes.to(value), weights.to(value)
    parts = []
    for row in torch.arange(len(value) * len(nodes), device=value.device).split(chunk_size):
        image, node = row // len(nodes), row % len(nodes)
        parts.append(_gradients(vit, clean, targets, masks, image, nodes[node]))
    gradient, along = (torch.cat(part).unflatten(0, (len(value), len(nodes))) for part in zip(*parts))
    on_neurons = vit.down[len(masks)].pull_back(integral(weights, gradient))
    joint = (value + path_value[..., None]) * (on_neurons + integral(weights, along)[..., None])
    return joint.mean(1)


def _gradients(
    vit: OpenViT, clean: CleanPass, targets: Tensor, masks: Sequence[Tensor], image: Tensor, alpha: Tensor
) -> tuple[Tensor, Tensor]:
    """Of some rows: ∂F/∂(stream that leaves the layer) at the path tokens, and the derivative along their shifts.

    Args:
        vit: the opened model, undisturbed.
        clean: the clean pass of the images.
        targets: (images,) int64.
        masks: for each layer before the one scored (images, 1, width) bool, the neurons on the path.
        image: (rows,) int64, which image.
        alpha: (rows,), by what the path, and all of the layer scored, are multiplied.

    Returns:
        (rows, path tokens, features) and (rows, path tokens), float32 at least.
    """
    layer, alpha = len(masks), alpha[:, None, None]
    shift = clean.values[0].new_zeros(len(image), clean.values[0].shape[1], requires_grad=True)

    def neurons(at: int) -> Tensor:
        value = clean.values[at][image]
        if at == layer:
            return value * alpha
        mask = masks[at][image]
        return torch.where(mask, value * alpha, value) + shift.unsqueeze(2) * mask

    def write(at: int) -> SiteFunction:
        return lambda found: neurons(at).to(found.dtype)

    # Up to the neurons of block 0 all nodes are the clean pass, and what leaves it is affine in them.
    change = vit.down[0].increment(neurons(0) - clean.values[0][image])
    stream = clean.first[image]
    stream = replace_tokens(stream, vit.path_tokens, stream[:, vit.path_tokens] + change.to(stream.dtype))
    stream.requires_grad_()
    with at_sites(vit, {at: write(at) for at in range(1, layer + 1)}):
        for at in range(1, layer + 1):
            stream = vit.block(at, stream)
    probability = target_probability(vit.forward_from(layer + 1, stream), targets[image])
    # At layer 0 there is no path yet, and nothing depends on the shift.
    gradient, along = torch.autograd.grad(probability.sum(), (stream, shift), allow_unused=True)
    # A copy: a view would keep the gradients of all tokens.
    at_tokens = at_least_float32(gradient[:, vit.path_tokens].clone())
    return at_tokens, torch.zeros_like(shift) if along is None else along
