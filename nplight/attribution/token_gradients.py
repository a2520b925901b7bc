"""Gradients of the objective with respect to the streams, and the streams of the clean pass."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.clean import CleanPass
from nplight.attribution.node_rows import NodeRows
from nplight.attribution.objective import at_least_float32
from nplight.attribution.problem import Problem
from nplight.vit import OpenViT


def token_gradients(problem: Problem, layer: int, stream: Tensor, rows: NodeRows) -> list[Tensor]:
    """∂F/∂(stream that leaves a block) at the path tokens, for block `layer` and all later blocks.

    A neuron of a path token affects the rest of the model only through the stream that leaves its block at that token:
    `vit.down[l].pull_back` turns the result into ∂F/∂z_l. These are total derivatives: later layers run free.

    Args:
        problem: the search.
        layer: the first of the blocks.
        stream: (rows, tokens, features), the stream that leaves block `layer`.
        rows: the node rows of the stream.

    Returns:
        Per block, from `layer` on, (rows, path tokens, features), float32 at least.

    Examples:
        >>> import nplight
        >>> from nplight.attribution import NodeRows, Problem, clean_pass, quadrature, token_gradients
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, clean = nplight.open_vit(planted.model), clean_pass(nplight.open_vit(planted.model), planted.images)
        >>> nodes, weights = (values.to(planted.images) for values in quadrature(20, "riemann-left"))
        >>> problem = Problem(vit, clean, planted.labels, nodes, weights, chunk_size=64)
        >>> rows = NodeRows(0, 16, per_image=1)  # one row per image: the clean stream
        >>> gradients = token_gradients(problem, 0, clean.first, rows)
        >>> len(gradients), gradients[0].shape  # per block (rows, path tokens, features)
        (4, torch.Size([16, 1, 64]))
    """
    vit = problem.vit
    streams = [stream.detach().requires_grad_()]
    for block in range(layer + 1, vit.depth):
        streams.append(vit.block(block, streams[-1]))
    objective = problem.objective(vit.head(streams[-1]), rows.each(problem.targets))
    # Copies: a view would keep the gradients of all tokens.
    return [
        at_least_float32(gradient[:, vit.path_tokens].clone())
        for gradient in torch.autograd.grad(objective.sum(), streams)
    ]


def clean_streams(vit: OpenViT, clean: CleanPass) -> list[Tensor]:
    """The stream that leaves each block on the clean pass, without a graph: (images, tokens, features) per block.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.attribution import clean_pass, clean_streams
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit = nplight.open_vit(planted.model)
        >>> streams = clean_streams(vit, clean_pass(vit, planted.images))
        >>> len(streams), torch.allclose(vit.head(streams[-1]), planted.model(planted.images))
        (4, True)
    """
    streams = [clean.first]
    with torch.no_grad():
        for layer in range(1, vit.depth):
            streams.append(vit.block(layer, streams[-1]))
    return streams
