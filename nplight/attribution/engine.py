"""The fast engine: layer-progressive search that repeats nothing the exact result does not need.

At step l the pass up to block l-1 is that of the path chosen so far, so every (image, node) row keeps the stream that
enters block l. Block l runs once, with its neurons at alpha times their clean values; what follows is differentiated
with respect to the stream `o` that leaves block l. From g = ∂F/∂o at the path tokens, ∂F/∂z_l is the transposed down
projection; and the path's own derivative comes from a direction carried along (`TangentRows`, one path token) or from
the same backward pass (`GraphRows`, several). Choosing the path of block l then corrects the path tokens of `o`:
nothing else in block l depends on its neurons there.
"""

from __future__ import annotations

import torch

from nplight.attribution.graph_rows import GraphRows
from nplight.attribution.problem import Problem
from nplight.attribution.quadrature import integral
from nplight.attribution.ranking import PathScores, best_first
from nplight.attribution.tangent_rows import TangentRows


def progressive_search(problem: Problem) -> PathScores:
    """Layer-progressive search (Wang et al., ICLR 2025, Algorithm 1) for a group of images."""
    vit, weights = problem.vit, problem.weights
    values = problem.clean.values  # for each layer (images, path tokens, width)
    path_value = torch.zeros_like(values[0][..., 0])  # (images, path tokens)
    every_node = problem.nodes[:, None, None]

    edited = (every_node - 1) * vit.down[0].increment(values[0])[:, None]
    rows_type = TangentRows if path_value.shape[1] == 1 else GraphRows
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

        # The neurons outside the path go back to their clean values; the direction gains the chosen ones.
        off_path = value.scatter(2, picks, 0)
        on_path = torch.zeros_like(value).scatter(2, picks, 1)
        rows.correct((1 - every_node) * down.increment(off_path)[:, None], down.increment(on_path))

    _, path_gradient = rows.advance(vit.depth)
    return PathScores(
        ranking=torch.stack(rankings, 1),
        ranking_scores=torch.stack(ranking_scores, 1),
        scores=(path_value * integral(weights, path_gradient)).mean(1),
    )
