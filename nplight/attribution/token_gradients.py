"""Gradients of the target's probability with respect to the streams, and the streams of the clean pass."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.clean import CleanPass, at_least_float32, target_probability
from nplight.vit import OpenViT


def token_gradients(vit: OpenViT, layer: int, stream: Tensor, targets: Tensor) -> list[Tensor]:
    """∂F/∂(stream that leaves a block) at the path tokens, for block `layer` and all later blocks.

    A neuron of a path token affects the rest of the model only through the stream that leaves its block at that token:
    `vit.down[l].pull_back` turns the result into ∂F/∂z_l. These are total derivatives: later layers run free.

    Args:
        vit: the opened model, undisturbed.
        layer: the first of the blocks.
        stream: (rows, tokens, features), the stream that leaves block `layer`.
        targets: (rows,) int64.

    Returns:
        Per block, from `layer` on, (rows, path tokens, features), float32 at least.
    """
    streams = [stream.detach().requires_grad_()]
    for block in range(layer + 1, vit.depth):
        streams.append(vit.block(block, streams[-1]))
    probability = target_probability(vit.head(streams[-1]), targets)
    # Copies: a view would keep the gradients of all tokens.
    return [
        at_least_float32(gradient[:, vit.path_tokens].clone())
        for gradient in torch.autograd.grad(probability.sum(), streams)
    ]


def clean_streams(vit: OpenViT, clean: CleanPass) -> list[Tensor]:
    """The stream that leaves each block on the clean pass, without a graph: (images, tokens, features) per block."""
    streams = [clean.first]
    with torch.no_grad():
        for layer in range(1, vit.depth):
            streams.append(vit.block(layer, streams[-1]))
    return streams
