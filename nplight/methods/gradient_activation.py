"""Search by gradient times activation: the first-order estimate of a neuron's removal."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution import NodeRows, Problem, token_gradients


def gradient_activation(problem: Problem) -> list[Tensor]:
    """Score of a neuron: z̄ · ∂F/∂z at the clean values, signed, mean over the path tokens.

    One backward pass serves all layers (Shrikumar et al. 2016; as a criterion for neurons, Molchanov et al. 2017).
    """
    vit, clean = problem.vit, problem.clean

    def run(rows: NodeRows) -> list[Tensor]:
        return token_gradients(problem, 0, rows.each(clean.first), rows)

    parts = [gradients for _, gradients in problem.in_chunks(run, nodes=1)]
    return [
        (clean.values[layer] * vit.down[layer].pull_back(torch.cat(gradients))).mean(1)
        for layer, gradients in enumerate(zip(*parts))
    ]
