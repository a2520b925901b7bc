"""Search by integrated gradients of one layer at a time (knowledge neurons; Dai et al., ACL 2022)."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution import (
    NodeRows,
    Problem,
    Settled,
    clean_streams,
    few_counts,
    first_counts,
    settle,
    token_gradients,
)
from nplight.neurons import replace_tokens


def integrated_gradients(problem: Problem) -> Settled:
    """Score of a neuron: z̄_i Σ_k ω_k ∂F/∂z_i at z_l := α_k z̄_l, layer l only, mean over the path tokens.

    Complete per layer: the scores of its neurons, times the number of path tokens, converge to F(z̄_l) − F(z_l := 0) as
    m grows. The layer is scaled at the path tokens; other tokens keep their values, and later layers run free.
    """
    streams = clean_streams(problem.vit, problem.clean)
    layers = [_layer(problem, layer, leaving) for layer, leaving in enumerate(streams)]
    evaluations = torch.stack([settled.evaluations for settled in layers]).sum(0)
    return Settled([settled.scores[0] for settled in layers], evaluations)


def _layer(problem: Problem, layer: int, leaving: Tensor) -> Settled:
    """The scores of one layer; `leaving`: the clean stream that leaves it, (images, tokens, features)."""
    vit, tokens = problem.vit, problem.vit.path_tokens
    down = vit.down[layer]

    def evaluate(part: Problem, images: Tensor) -> list[Tensor]:
        streams, value = leaving[images], part.clean.values[layer]
        # Up to block l every node equals the clean pass, and its output is affine in z_l: only later blocks are run.
        full_change = down.increment(value)

        def run(rows: NodeRows) -> Tensor:
            stream = rows.each(streams)
            change = (rows.alpha(part.nodes) - 1)[:, None, None] * rows.each(full_change)
            edited = replace_tokens(stream, tokens, stream[:, tokens] + change.to(stream.dtype))
            return token_gradients(part, layer, edited, rows)[0]

        sums = part.summed((rows, gradient) for rows, gradient in part.in_chunks(run))
        return [torch.stack([(value * down.pull_back(total)).mean(1) for total in sums.unbind(1)], 1)]

    if layer:
        return settle(problem, evaluate, few_counts(problem))
    return settle(problem, evaluate, first_counts(problem), at=Problem.with_mapped_nodes)
