"""Search by the gradient averaged over the line from the zero image, the "influence pattern" of the published program.

The baseline that the program of Wang et al. (ICLR 2025) compares with and names after Lu et al. (2021). It takes every
layer by itself; `influence_pattern_chain` is what Lu et al. define.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution import CleanPass, PathScores, at_least_float32, integral, quadrature
from nplight.search.derivatives import token_gradients
from nplight.search.line import cells
from nplight.search.options import SearchOptions
from nplight.search.ranking import ranked
from nplight.vit import OpenViT


def influence_pattern(
    vit: OpenViT, clean: CleanPass, targets: Tensor, options: SearchOptions, chunk_size: int
) -> PathScores:
    """Score of a neuron: Σ_k ω_k ∂F/∂z_l at the image α_k x, signed, mean over the path tokens.

    x is the normalised image, so that the line starts at the image of zeros, not at a black one. Neither z nor x
    multiplies the gradient.
    """
    nodes, weights = (values.to(clean.values[0]) for values in quadrature(options.steps, options.rule))
    # Of the stream: pulling back to the neurons is linear, so once for the sum over nodes.
    at_tokens = at_least_float32(clean.first[:, vit.path_tokens])
    totals = [torch.zeros_like(at_tokens) for _ in range(vit.depth)]
    for cell in cells(len(targets), len(nodes), chunk_size):
        with torch.no_grad():
            first = vit.block(0, vit.embed(cell.points(clean.images, nodes)))
        gradients = token_gradients(vit, 0, first, cell.rows(targets))
        for total, gradient in zip(totals, gradients):
            total[cell.images] += integral(weights[cell.nodes], cell.unflatten(gradient))
    scores = [down.pull_back(total).mean(1) for down, total in zip(vit.down, totals)]
    return ranked(vit, clean, targets, scores, options, chunk_size)
