"""Search by integrated gradients of one layer at a time (knowledge neurons; Dai et al., ACL 2022)."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution import CleanPass, PathScores, integral, quadrature
from nplight.neurons import replace_tokens
from nplight.search.derivatives import clean_streams, token_gradients
from nplight.search.line import cells
from nplight.search.options import SearchOptions
from nplight.search.ranking import ranked
from nplight.vit import OpenViT


def integrated_gradients(
    vit: OpenViT, clean: CleanPass, targets: Tensor, options: SearchOptions, chunk_size: int
) -> PathScores:
    """Score of a neuron: z̄_i Σ_k ω_k ∂F/∂z_i at z_l := α_k z̄_l, layer l alone, mean over the path tokens.

    Complete for the layer: the scores of its neurons, times the number of path tokens, sum to F(z̄_l) − F(z_l := 0) as
    the nodes grow. The layer is scaled at the path tokens; the others keep their values, and later layers run free.
    """
    nodes, weights = (values.to(clean.values[0]) for values in quadrature(options.steps, options.rule))
    tokens = vit.path_tokens
    scores = []
    for layer, leaving in enumerate(clean_streams(vit, clean)):
        down, value = vit.down[layer], clean.values[layer]
        # Up to block l all nodes are the clean pass, and what leaves it is affine in z_l: only what follows is run.
        whole = down.increment(value)
        total = torch.zeros_like(whole)
        for cell in cells(len(targets), len(nodes), chunk_size):
            stream = cell.rows(leaving)
            change = ((nodes[cell.nodes, None, None] - 1) * whole[cell.images, None]).flatten(0, 1)
            edited = replace_tokens(stream, tokens, stream[:, tokens] + change.to(stream.dtype))
            gradient = token_gradients(vit, layer, edited, cell.rows(targets))[0]
            total[cell.images] += integral(weights[cell.nodes], cell.unflatten(gradient))
        scores.append((value * down.pull_back(total)).mean(1))
    return ranked(vit, clean, targets, scores, options, chunk_size)
