"""The joint attribution score of a given path."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.node_rows import NodeRows
from nplight.attribution.path_vjp import PathVJP
from nplight.attribution.problem import Problem
from nplight.attribution.settling import few_counts, settle


def path_score(problem: Problem, neurons: Tensor) -> Tensor:
    """Joint attribution score of each image's path (Wang et al., ICLR 2025, Eq. 3), (images,).

    Args:
        problem: the search.
        neurons: (images, layers, K) int64, distinct in a layer.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.attribution import Problem, clean_pass, path_score, progressive_search, quadrature
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, clean = nplight.open_vit(planted.model), clean_pass(nplight.open_vit(planted.model), planted.images)
        >>> nodes, weights = (values.to(planted.images) for values in quadrature(20, "riemann-left"))
        >>> problem = Problem(vit, clean, planted.labels, nodes, weights, chunk_size=64)
        >>> best = progressive_search(problem)
        >>> torch.allclose(path_score(problem, best.ranking), best.scores)
        True
    """

    def evaluate(part: Problem, images: Tensor) -> list[Tensor]:
        return [path_sums(part, neurons[images]).unsqueeze(2)]

    return settle(problem, evaluate, few_counts(problem), top_k=1, ranked=1).scores[0].squeeze(1)


def path_sums(problem: Problem, neurons: Tensor) -> Tensor:
    """`Problem.sums` of the score of a path, (images, sums); arguments as `path_score`.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.attribution import Problem, clean_pass, path_score, path_sums, quadrature
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, clean = nplight.open_vit(planted.model), clean_pass(nplight.open_vit(planted.model), planted.images)
        >>> nodes, weights = (values.to(planted.images) for values in quadrature(20, "riemann-left"))
        >>> problem = Problem(vit, clean, planted.labels, nodes, weights, chunk_size=64)
        >>> torch.equal(path_sums(problem, planted.paths)[:, 0], path_score(problem, planted.paths))
        True
    """
    vit, path = problem.vit, PathVJP(problem, neurons)

    def run(rows: NodeRows) -> Tensor:
        runner, stream, offset = path.run(rows, vit.depth)
        objective = runner.objective(vit.depth, stream, rows.each(problem.targets))
        return torch.autograd.grad(objective.sum(), offset)[0]

    gradient = torch.cat([gradient for _, gradient in problem.in_chunks(run)])
    path_gradient = problem.sums(gradient.unflatten(0, (-1, problem.nodes.shape[-1])))
    return (path.value.unsqueeze(1) * path_gradient).mean(2)
