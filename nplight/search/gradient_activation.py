"""Search by gradient times activation: the linear estimate of what removing a neuron costs."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution import CleanPass, PathScores
from nplight.search.derivatives import token_gradients
from nplight.search.options import SearchOptions
from nplight.search.ranking import ranked
from nplight.vit import OpenViT


def gradient_activation(
    vit: OpenViT, clean: CleanPass, targets: Tensor, options: SearchOptions, chunk_size: int
) -> PathScores:
    """Score of a neuron: z̄ · ∂F/∂z at the clean values, signed, mean over the path tokens.

    One backward pass serves all layers (Shrikumar et al. 2016; as a criterion for neurons, Molchanov et al. 2017).
    """
    parts = [
        token_gradients(vit, 0, stream, wanted)
        for stream, wanted in zip(clean.first.split(chunk_size), targets.split(chunk_size))
    ]
    scores = [
        (clean.values[layer] * vit.down[layer].pull_back(torch.cat(gradients))).mean(1)
        for layer, gradients in enumerate(zip(*parts))
    ]
    return ranked(vit, clean, targets, scores, options, chunk_size)
