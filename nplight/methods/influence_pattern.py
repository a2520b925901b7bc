"""Search by the gradient averaged over the line from the zero image, the "influence pattern" of the published program.

The baseline that the program of Wang et al. (ICLR 2025) compares with and names after Lu et al. (2021). It scores every
layer separately; `influence_pattern_chain` is the definition of Lu et al.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution import NodeRows, Problem, at_least_float32, integral, streams_on_line, token_gradients


def influence_pattern(problem: Problem) -> list[Tensor]:
    """Score of a neuron: Σ_k ω_k ∂F/∂z_l at the image α_k x, signed, mean over the path tokens.

    x is the normalised image: the line starts at the image of zeros, which is not a black image. The gradient is
    multiplied neither by z nor by x.
    """
    vit = problem.vit

    def run(rows: NodeRows) -> list[Tensor]:
        return token_gradients(problem, 0, streams_on_line(problem, problem.nodes, rows), rows)

    # Sums of stream gradients: `pull_back` is linear, and is applied once to the sum over nodes.
    at_tokens = at_least_float32(problem.clean.first[:, vit.path_tokens])
    totals = [torch.zeros_like(at_tokens) for _ in range(vit.depth)]
    for rows, gradients in problem.in_chunks(run):
        for total, gradient in zip(totals, gradients):
            total[rows.images] += integral(problem.weights[rows.nodes], rows.unflatten(gradient))
    return [down.pull_back(total).mean(1) for down, total in zip(vit.down, totals)]
