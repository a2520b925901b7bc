"""The joint attribution score of a given path."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.node_rows import NodeRows
from nplight.attribution.path_vjp import PathVJP
from nplight.attribution.problem import Problem
from nplight.attribution.quadrature import integral


def path_score(problem: Problem, neurons: Tensor) -> Tensor:
    """Joint attribution score of each image's path (Wang et al., ICLR 2025, Eq. 3), (images,).

    Args:
        problem: the search.
        neurons: (images, layers, K) int64, distinct in a layer.
    """
    vit, path = problem.vit, PathVJP(problem, neurons)

    def run(rows: NodeRows) -> Tensor:
        runner, stream, offset = path.run(rows, vit.depth)
        objective = runner.objective(vit.depth, stream, rows.each(problem.targets))
        return torch.autograd.grad(objective.sum(), offset)[0]

    gradient = torch.cat([gradient for _, gradient in problem.in_chunks(run)])
    path_gradient = integral(problem.weights, gradient.unflatten(0, (-1, len(problem.nodes))))
    return (path.value * path_gradient).mean(1)
