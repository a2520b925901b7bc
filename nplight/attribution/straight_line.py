"""The straight line from the zero image to an image."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.node_rows import NodeRows
from nplight.attribution.problem import Problem


def streams_on_line(problem: Problem, nodes: Tensor, rows: NodeRows) -> Tensor:
    """The stream that leaves block 0 for the image α_k x of each node row, without a graph.

    x is the normalised image: the line starts at the image of zeros, which is not a black image.

    Args:
        problem: the search.
        nodes: (m,), all α_k.
        rows: the node rows.

    Returns:
        (rows, tokens, features).

    Examples:
        >>> import nplight
        >>> from nplight.attribution import NodeRows, Problem, clean_pass, quadrature, streams_on_line
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, clean = nplight.open_vit(planted.model), clean_pass(nplight.open_vit(planted.model), planted.images)
        >>> nodes, weights = (values.to(planted.images) for values in quadrature(20, "riemann-left"))
        >>> problem = Problem(vit, clean, planted.labels, nodes, weights, chunk_size=64)
        >>> rows = NodeRows(0, 40, per_image=20)  # of the first two images
        >>> streams_on_line(problem, nodes, rows).shape  # (rows, tokens, features)
        torch.Size([40, 5, 64])
    """
    images = problem.clean.images
    points = (images[rows.images, None] * nodes[rows.nodes, None, None, None]).flatten(0, 1).to(images.dtype)
    with torch.no_grad():
        return problem.vit.block(0, problem.vit.embed(points))
