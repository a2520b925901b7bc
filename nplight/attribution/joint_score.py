"""The joint attribution score of a given path, all nodes at once."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.chunk import in_chunks
from nplight.attribution.clean import CleanPass
from nplight.attribution.frozen import passes_over
from nplight.attribution.quadrature import integral
from nplight.neurons import replace_tokens
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
    picks = neurons.unsqueeze(2).unbind(1)  # for each layer (images, 1, K)
    values = clean.values
    on_path = {layer: _indicator(value, picks[layer]) for layer, value in values.items()}
    path_value = torch.stack([(values[layer] * mask).sum(2) for layer, mask in on_path.items()]).sum(0)
    nodes, weights = nodes.to(path_value), weights.to(path_value)
    every = passes_over(vit, clean)

    def run(chunk: slice) -> Tensor:
        row = torch.arange(chunk.start, chunk.stop, device=path_value.device)
        passes = every.of(slice(chunk.start // len(nodes), -(-chunk.stop // len(nodes))))
        image, alpha = row // len(nodes), nodes[row % len(nodes), None, None]
        shift = path_value.new_zeros(len(row), path_value.shape[1], requires_grad=True)

        def edited(layer: int) -> Tensor:
            value, mask = values[layer][image], on_path[layer][image]
            return torch.lerp(value, value * alpha, mask) + shift.unsqueeze(2) * mask

        # Up to the neurons of block 0 all nodes are the clean pass, and what leaves it is affine in them.
        change = vit.down[0].increment(edited(0) - values[0][image])
        tokens, stream = vit.path_tokens, clean.first[image]
        stream = replace_tokens(stream, tokens, stream[:, tokens] + change.to(stream.dtype))[:, passes.live(0)]
        for layer in range(1, vit.depth):
            stream = passes.block(layer, stream, edited(layer))
        probability = passes.probability(vit.depth, stream, targets[image])
        return torch.autograd.grad(probability.sum(), shift)[0]

    gradient = torch.cat(in_chunks(vit, (len(neurons), len(nodes)), chunk_size, run))
    return (path_value * integral(weights, gradient.unflatten(0, (-1, len(nodes))))).mean(1)


def _indicator(value: Tensor, picks: Tensor) -> Tensor:
    """1 at the picked neurons (images, 1, K) of every token, 0 elsewhere: (images, path tokens, width)."""
    return torch.zeros_like(value).scatter_(2, picks.expand(-1, value.shape[1], -1), 1)
