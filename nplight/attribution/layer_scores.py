"""The joint attribution scores of one layer's neurons after a given path."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.first_layer import settle_first_layer
from nplight.attribution.node_rows import NodeRows
from nplight.attribution.objective import at_least_float32
from nplight.attribution.path_vjp import PathVJP
from nplight.attribution.problem import Problem
from nplight.attribution.settling import Settled, few_counts, settle


def layer_scores(problem: Problem, prefix: Tensor) -> Tensor:
    """The scores of `settled_layer`: (images, width), float32 at least, without a graph.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.attribution import Problem, clean_pass, layer_scores, quadrature
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, clean = nplight.open_vit(planted.model), clean_pass(nplight.open_vit(planted.model), planted.images)
        >>> nodes, weights = (values.to(planted.images) for values in quadrature(20, "riemann-left"))
        >>> problem = Problem(vit, clean, planted.labels, nodes, weights, chunk_size=64)
        >>> scores = layer_scores(problem, planted.paths[:, :1])  # of layer 1, after the planted neuron of layer 0
        >>> torch.equal(scores.argmax(1), planted.paths[:, 1, 0])
        True
    """
    return settled_layer(problem, prefix).scores[0]


def settled_layer(problem: Problem, prefix: Tensor) -> Settled:
    """One step of the layer-progressive search (Wang et al., ICLR 2025, Algorithm 1) after any path.

    Args:
        problem: the search.
        prefix: (images, l, K) int64, the path in the layers before l, distinct in a layer; l is the layer scored.

    Returns:
        The joint attribution score of each neuron of layer l, from as many nodes as each image needs.

    Examples:
        >>> import nplight
        >>> from nplight.attribution import Problem, clean_pass, quadrature, settled_layer
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, clean = nplight.open_vit(planted.model), clean_pass(nplight.open_vit(planted.model), planted.images)
        >>> nodes, weights = (values.to(planted.images) for values in quadrature(20, "riemann-left"))
        >>> problem = Problem(vit, clean, planted.labels, nodes, weights, chunk_size=64, tolerance=1e-6, steps=20)
        >>> settled = settled_layer(problem, planted.paths[:, :1])
        >>> settled.scores[0].shape, settled.evaluations.unique().tolist()
        (torch.Size([16, 256]), [16, 36])
    """

    def evaluate(part: Problem, images: Tensor) -> list[Tensor]:
        return [layer_sums(part, prefix[images])]

    if prefix.shape[1]:
        return settle(problem, evaluate, few_counts(problem))
    return settle_first_layer(problem, evaluate)


def layer_sums(problem: Problem, prefix: Tensor) -> Tensor:
    """`Problem.sums` of the scores of one layer, (images, sums, width); arguments as `settled_layer`.

    One backward pass per node row gives the gradient of the stream that leaves the layer, which `pull_back` turns into
    ∂F/∂z_l, and that of the path's offsets (`PathVJP`).
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
    return joint_sums(problem, layer, path.value, gradient, path_gradient)


def joint_sums(
    problem: Problem, layer: int, path_value: Tensor, token_gradient: Tensor, path_gradient: Tensor
) -> Tensor:
    """`Problem.sums` of the joint attribution scores of a layer, mean over path tokens: (images, sums, width).

    Args:
        problem: the search.
        layer: of the neurons.
        path_value: (images, path tokens), the sum of the path's clean values.
        token_gradient: (images, nodes, path tokens, features), of the stream that leaves the layer.
        path_gradient: (images, nodes, path tokens), the sum of ∂F/∂z over the path.
    """
    down, joint = problem.vit.down[layer], problem.clean.values[layer] + path_value[..., None]
    sums = zip(problem.sums(token_gradient).unbind(1), problem.sums(path_gradient).unbind(1))
    # One by one: with many path tokens a product for all sums at once would be the largest tensor of the search.
    return torch.stack([(joint * (down.pull_back(tokens) + path[..., None])).mean(1) for tokens, path in sums], 1)
