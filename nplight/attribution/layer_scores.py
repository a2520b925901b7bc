"""The joint attribution scores of one layer's neurons after a given path."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.node_rows import NodeRows
from nplight.attribution.objective import at_least_float32
from nplight.attribution.path_vjp import PathVJP
from nplight.attribution.problem import Problem
from nplight.attribution.quadrature import integral


def layer_scores(problem: Problem, prefix: Tensor) -> Tensor:
    """One step of the layer-progressive search (Wang et al., ICLR 2025, Algorithm 1) after any path.

    One backward pass per node row gives the gradient of the stream that leaves the layer, which `pull_back` turns into
    ∂F/∂z_l, and that of the path's offsets (`PathVJP`).

    Args:
        problem: the search.
        prefix: (images, l, K) int64, the path in the layers before l, distinct in a layer; l is the layer scored.

    Returns:
        (images, width), the joint attribution score of each neuron of layer l; float32 at least, without a graph.
    """
    layer, path = prefix.shape[1], PathVJP(problem, prefix)
    value = problem.clean.values[layer]

    def run(rows: NodeRows) -> tuple[Tensor, Tensor]:
        runner, stream, offset = path.run(rows, layer + 1)
        objective = runner.objective(layer + 1, stream, rows.each(problem.targets))
        # At layer 0 there is no path yet, and nothing depends on the offset.
        gradient, path_gradient = torch.autograd.grad(objective.sum(), (stream, offset), allow_unused=True)
        # A copy: a view would keep the gradients of all tokens.
        at_tokens = at_least_float32(gradient[:, runner.path_tokens(layer)].clone())
        return at_tokens, torch.zeros_like(offset) if path_gradient is None else path_gradient

    parts = zip(*(result for _, result in problem.in_chunks(run)))
    gradient, path_gradient = (torch.cat(part).unflatten(0, (len(value), -1)) for part in parts)
    on_neurons = problem.vit.down[layer].pull_back(integral(problem.weights, gradient))
    of_path = integral(problem.weights, path_gradient)[..., None]
    return ((value + path.value[..., None]) * (on_neurons + of_path)).mean(1)
