"""From a score for every neuron to a ranking, and the joint score of the path at its head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nplight.attribution import CleanPass, PathScores, path_score, quadrature
from nplight.search.options import SearchOptions
from nplight.vit import OpenViT


def ranked(
    vit: OpenViT,
    clean: CleanPass,
    targets: Tensor,
    layer_scores: Sequence[Tensor],
    options: SearchOptions,
    chunk_size: int,
) -> PathScores:
    """The neurons of each layer by score, and the joint attribution score of the path of the first K.

    Args:
        vit: the opened model, undisturbed.
        clean: the clean pass of the images.
        targets: (images,) int64.
        layer_scores: for each layer (images, width), larger is better; of equal ones the lower index comes first.
        options: K, R, and the nodes of the joint score.
        chunk_size: (image, node) rows in flight.
    """
    best = [scores.sort(dim=1, descending=True, stable=True) for scores in layer_scores]
    ranking = torch.stack([found.indices[:, : options.ranked] for found in best], 1)
    nodes, weights = quadrature(options.steps, options.rule)
    neurons = ranking[..., : options.top_k]
    return PathScores(
        ranking=ranking,
        ranking_scores=torch.stack([found.values[:, : options.ranked] for found in best], 1),
        scores=path_score(vit, clean, targets, neurons, nodes=nodes, weights=weights, chunk_size=chunk_size),
    )
