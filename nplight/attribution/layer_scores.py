"""The joint attribution scores of one layer's neurons after a given path."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.clean import at_least_float32
from nplight.attribution.node_rows import NodeRows
from nplight.attribution.path_shift import PathShift
from nplight.attribution.problem import Problem
from nplight.attribution.quadrature import integral


def layer_scores(problem: Problem, prefix: Tensor) -> Tensor:
    """One step of the layer-progressive search (Wang et al., ICLR 2025, Algorithm 1), whoever chose the path so far.

    One backward pass per row, to the stream that leaves the layer, of which ∂F/∂z_l is the pull-back, and to the shifts
    of the path's neurons (`PathShift`).

    Args:
        problem: the search.
        prefix: (images, l, K) int64, the path in the layers before l, distinct in a layer; l is the layer scored.

    Returns:
        (images, width), the joint attribution score of each neuron of layer l; float32 at least, without a graph.
    """
    layer, path = prefix.shape[1], PathShift(problem, prefix)
    value = problem.clean.values[layer]

    def run(rows: NodeRows) -> tuple[Tensor, Tensor]:
        passes, stream, shift = path.run(rows, layer + 1)
        probability = passes.probability(layer + 1, stream, rows.each(problem.targets))
        # At layer 0 there is no path yet, and nothing depends on the shift.
        gradient, along = torch.autograd.grad(probability.sum(), (stream, shift), allow_unused=True)
        # A copy: a view would keep the gradients of all tokens.
        at_tokens = at_least_float32(gradient[:, passes.path_tokens(layer)].clone())
        return at_tokens, torch.zeros_like(shift) if along is None else along

    parts = zip(*(result for _, result in problem.in_chunks(run)))
    gradient, along = (torch.cat(part).unflatten(0, (len(value), -1)) for part in parts)
    on_neurons = problem.vit.down[layer].pull_back(integral(problem.weights, gradient))
    path_gradient = integral(problem.weights, along)[..., None]
    return ((value + path.value[..., None]) * (on_neurons + path_gradient)).mean(1)
