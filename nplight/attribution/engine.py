"""The fast engine: layer-progressive search without repeated work.

At step l the forward pass up to block l-1 is that of the path chosen so far, so every node row keeps the stream that
enters block l. Block l runs once, with its neurons at alpha times their clean values; the blocks after it are
differentiated with respect to the stream `o` that leaves block l. ∂F/∂z_l is the transposed down projection applied to
g = ∂F/∂o at the path tokens. The path's derivative is a JVP advanced with the stream (`JVPRows`, one path token) or a
VJP from the same backward pass (`VJPRows`, several). Choosing the path of block l then corrects `o` at the path tokens:
nothing else in block l depends on its neurons there.
"""

from __future__ import annotations

import torch

from nplight.attribution.jvp_rows import JVPRows
from nplight.attribution.problem import Problem
from nplight.attribution.quadrature import integral
from nplight.attribution.ranking import PathScores, best_first
from nplight.attribution.vjp_rows import VJPRows


def progressive_search(problem: Problem) -> PathScores:
    """Layer-progressive search (Wang et al., ICLR 2025, Algorithm 1) for a group of images."""
    vit, weights = problem.vit, problem.weights
    values = problem.clean.values  # per layer (images, path tokens, width)
    path_value = torch.zeros_like(values[0][..., 0])  # (images, path tokens)
    every_node = problem.nodes[:, None, None]

    edited = (every_node - 1) * vit.down[0].increment(values[0])[:, None]
    rows_type = JVPRows if path_value.shape[1] == 1 else VJPRows
    rows = rows_type(problem, edited)
    rankings, ranking_scores = [], []

    for layer in range(vit.depth):
        down, value = vit.down[layer], values[layer]
        token_gradient, path_gradient = rows.advance(layer, value)
        gradient = down.pull_back(integral(weights, token_gradient))
        joint = (value + path_value[..., None]) * (gradient + integral(weights, path_gradient)[..., None])

        best = best_first(joint.mean(1), problem.ranked)
        rankings.append(best.neurons)
        ranking_scores.append(best.scores)
        picks = best.neurons[:, None, : problem.top_k].expand(-1, value.shape[1], -1)
        path_value = path_value + value.gather(2, picks).sum(2)

        # Neurons outside the path return to their clean values; the chosen ones join the direction.
        off_path = value.scatter(2, picks, 0)
        on_path = torch.zeros_like(value).scatter(2, picks, 1)
        rows.correct((1 - every_node) * down.increment(off_path)[:, None], down.increment(on_path))

    _, path_gradient = rows.advance(vit.depth)
    return PathScores(
        ranking=torch.stack(rankings, 1),
        ranking_scores=torch.stack(ranking_scores, 1),
        scores=(path_value * integral(weights, path_gradient)).mean(1),
    )
