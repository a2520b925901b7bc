"""Search by integrated gradients of one layer at a time (knowledge neurons; Dai et al., ACL 2022)."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution import NodeRows, Problem, clean_streams, integral, token_gradients
from nplight.neurons import replace_tokens


def integrated_gradients(problem: Problem) -> list[Tensor]:
    """Score of a neuron: z̄_i Σ_k ω_k ∂F/∂z_i at z_l := α_k z̄_l, layer l only, mean over the path tokens.

    Complete per layer: the scores of its neurons, times the number of path tokens, converge to F(z̄_l) − F(z_l := 0) as
    m grows. The layer is scaled at the path tokens; other tokens keep their values, and later layers run free.
    """
    vit, tokens = problem.vit, problem.vit.path_tokens
    scores = []
    for layer, leaving in enumerate(clean_streams(vit, problem.clean)):
        down, value = vit.down[layer], problem.clean.values[layer]
        # Up to block l every node equals the clean pass, and its output is affine in z_l: only later blocks are run.
        full_change = down.increment(value)

        def run(
            rows: NodeRows, layer: int = layer, leaving: Tensor = leaving, full_change: Tensor = full_change
        ) -> Tensor:
            stream = rows.each(leaving)
            change = (rows.alpha(problem.nodes) - 1)[:, None, None] * rows.each(full_change)
            edited = replace_tokens(stream, tokens, stream[:, tokens] + change.to(stream.dtype))
            return token_gradients(problem, layer, edited, rows)[0]

        total = torch.zeros_like(full_change)
        for rows, gradient in problem.in_chunks(run):
            total[rows.images] += integral(problem.weights[rows.nodes], rows.unflatten(gradient))
        scores.append((value * down.pull_back(total)).mean(1))
    return scores
