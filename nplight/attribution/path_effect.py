"""What a path does to the objective, measured by removing it."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.node_rows import NodeRows
from nplight.attribution.problem import Problem
from nplight.neurons import path_masks


def path_effect(problem: Problem, neurons: Tensor) -> Tensor:
    """The clean objective minus that with the path's neurons at 0 at the path tokens, all others free: (images,).

    Args:
        problem: the search; over a `FrozenPass` the removal too is run with frozen patch tokens.
        neurons: (images, layers, K) int64.

    Examples:
        >>> import nplight
        >>> from nplight.attribution import Problem, clean_pass, path_effect, quadrature
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, clean = nplight.open_vit(planted.model), clean_pass(nplight.open_vit(planted.model), planted.images)
        >>> nodes, weights = (values.to(planted.images) for values in quadrature(20, "riemann-left"))
        >>> problem = Problem(vit, clean, planted.labels, nodes, weights, chunk_size=64)
        >>> bool((path_effect(problem, planted.paths) > 0).all())
        True
    """
    vit, clean = problem.vit, problem.clean
    kept = [~mask.unsqueeze(1) for mask in path_masks(neurons, vit.widths)]
    removed = vit.down[0].increment(clean.values[0] * (kept[0].to(clean.values[0]) - 1))
    every_runner = problem.runner

    def run(rows: NodeRows) -> Tensor:
        runner = every_runner.of(rows.images)
        stream = rows.each(clean.first).clone()
        stream[:, vit.path_tokens] += rows.each(removed).to(stream.dtype)
        stream = stream[:, runner.live(0)]
        for layer in range(1, vit.depth):
            stream, _ = runner.edited(layer, stream, rows.each(kept[layer]).mul)
        return runner.objective(vit.depth, stream, rows.each(problem.targets))

    with torch.no_grad():
        objective = torch.cat([values for _, values in problem.in_chunks(run, nodes=1)])
        return problem.objective(clean.logits, problem.targets) - objective
