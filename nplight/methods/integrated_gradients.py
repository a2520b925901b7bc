"""Search by integrated gradients of one layer at a time (knowledge neurons; Dai et al., ACL 2022)."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution import NodeRows, Problem, clean_streams, integral, token_gradients
from nplight.neurons import replace_tokens


def integrated_gradients(problem: Problem) -> list[Tensor]:
    """Score of a neuron: z̄_i Σ_k ω_k ∂F/∂z_i at z_l := α_k z̄_l, layer l alone, mean over the path tokens.

    Complete for the layer: the scores of its neurons, times the number of path tokens, sum to F(z̄_l) − F(z_l := 0) as
    the nodes grow. The layer is scaled at the path tokens; the others keep their values, and later layers run free.
    """
    vit, tokens = problem.vit, problem.vit.path_tokens
    scores = []
    for layer, leaving in enumerate(clean_streams(vit, problem.clean)):
        down, value = vit.down[layer], problem.clean.values[layer]
        # Up to block l all nodes are the clean pass, and what leaves it is affine in z_l: only what follows is run.
        whole = down.increment(value)

        def run(rows: NodeRows, layer: int = layer, leaving: Tensor = leaving, whole: Tensor = whole) -> Tensor:
            stream = rows.each(leaving)
            change = (rows.alpha(problem.nodes) - 1)[:, None, None] * rows.each(whole)
            edited = replace_tokens(stream, tokens, stream[:, tokens] + change.to(stream.dtype))
            return token_gradients(vit, layer, edited, rows.each(problem.targets))[0]

        total = torch.zeros_like(whole)
        for rows, gradient in problem.in_chunks(run):
            total[rows.images] += integral(problem.weights[rows.nodes], rows.unflatten(gradient))
        scores.append((value * down.pull_back(total)).mean(1))
    return scores
