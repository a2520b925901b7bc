"""Search by the gradient averaged over the line from the zero image, the "influence pattern" of the published program.

The baseline that the program of Wang et al. (ICLR 2025) compares with and names after Lu et al. (2021). It takes every
layer by itself; `influence_pattern_chain` is what Lu et al. define.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution import NodeRows, Problem, at_least_float32, integral, streams_on_line, token_gradients


def influence_pattern(problem: Problem) -> list[Tensor]:
    """Score of a neuron: Σ_k ω_k ∂F/∂z_l at the image α_k x, signed, mean over the path tokens.

    x is the normalised image, so that the line starts at the image of zeros, not at a black one. Neither z nor x
    multiplies the gradient.
    """
    vit = problem.vit

    def run(rows: NodeRows) -> list[Tensor]:
        return token_gradients(vit, 0, streams_on_line(problem, problem.nodes, rows), rows.each(problem.targets))

    # Of the stream: pulling back to the neurons is linear, so once for the sum over nodes.
    at_tokens = at_least_float32(problem.clean.first[:, vit.path_tokens])
    totals = [torch.zeros_like(at_tokens) for _ in range(vit.depth)]
    for rows, gradients in problem.in_chunks(run):
        for total, gradient in zip(totals, gradients):
            total[rows.images] += integral(problem.weights[rows.nodes], rows.unflatten(gradient))
    return [down.pull_back(total).mean(1) for down, total in zip(vit.down, totals)]
