"""Scores from as few nodes as decide them: more nodes for the images that are not settled, at last every node.

What an image takes depends on its own values alone. Rounding changes a decision only where the estimate is within
rounding of its limit; both outcomes then have the same neurons and scores within the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nplight.attribution.error_estimate import unsettled
from nplight.attribution.problem import Problem

Evaluate = Callable[[Problem, Tensor], Sequence[Tensor]]

NODES_IN_FLIGHT = 10
"""Node rows per image that a group of images is made for: few, and more for those that the few do not settle."""

# Numbers of nodes to begin with; then three times as many, and at last every node.
_FEW = (6, 10)  # where the integrand is smooth
_FEW_OF_MANY = (12,)  # the same where many neurons are chosen or edited at many tokens, or every score counts
_MANY_NEURONS = 4
_FIRST = (12,)  # in layer 0, with nodes of each image's own
_UNKNOWN = (24,)  # where the integrand may be sharp
_GROWTH = 3


@dataclass(frozen=True, slots=True)
class Settled:
    """Scores that are those of every node, up to the tolerance.

    Attributes:
        scores: per layer (images, width).
        evaluations: (images,) int64, nodes evaluated.

    Examples:
        >>> import nplight
        >>> from nplight.attribution import Problem, clean_pass, quadrature, settled_layer
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, clean = nplight.open_vit(planted.model), clean_pass(nplight.open_vit(planted.model), planted.images)
        >>> nodes, weights = (values.to(planted.images) for values in quadrature(20, "riemann-left"))
        >>> problem = Problem(vit, clean, planted.labels, nodes, weights, chunk_size=64, steps=20)
        >>> settled = settled_layer(problem, planted.paths[:, :1])
        >>> settled.evaluations.unique().tolist()  # without a tolerance every node
        [20]
    """

    scores: list[Tensor]
    evaluations: Tensor


def few_counts(problem: Problem) -> tuple[int, ...]:
    """The numbers of nodes that are tried in turn where the integrand is smooth; the last is m.

    Examples:
        >>> import nplight
        >>> from nplight.attribution import Problem, clean_pass, few_counts, quadrature
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, clean = nplight.open_vit(planted.model), clean_pass(nplight.open_vit(planted.model), planted.images)
        >>> nodes, weights = (values.to(planted.images) for values in quadrature(20, "riemann-left"))
        >>> problem = Problem(vit, clean, planted.labels, nodes, weights, chunk_size=64, tolerance=1e-6, steps=20)
        >>> few_counts(problem)
        (6, 10, 20)
    """
    smooth = 0 < problem.top_k < _MANY_NEURONS and _path_tokens(problem) == 1
    return _counts(problem, _FEW if smooth else _FEW_OF_MANY)


def first_counts(problem: Problem) -> tuple[int, ...]:
    """As `few_counts` for layer 0, where the integrand is sharp near alpha = 0.

    Examples:
        >>> import nplight
        >>> from nplight.attribution import Problem, clean_pass, first_counts, quadrature
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, clean = nplight.open_vit(planted.model), clean_pass(nplight.open_vit(planted.model), planted.images)
        >>> nodes, weights = (values.to(planted.images) for values in quadrature(20, "riemann-left"))
        >>> problem = Problem(vit, clean, planted.labels, nodes, weights, chunk_size=64, tolerance=1e-6, steps=20)
        >>> first_counts(problem)
        (12, 20)
    """
    return _counts(problem, _FIRST if _path_tokens(problem) == 1 else _UNKNOWN)


def many_counts(problem: Problem) -> tuple[int, ...]:
    """As `few_counts` where nothing is known of the integrand.

    Examples:
        >>> import nplight
        >>> from nplight.attribution import Problem, clean_pass, many_counts, quadrature
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, clean = nplight.open_vit(planted.model), clean_pass(nplight.open_vit(planted.model), planted.images)
        >>> nodes, weights = (values.to(planted.images) for values in quadrature(20, "riemann-left"))
        >>> problem = Problem(vit, clean, planted.labels, nodes, weights, chunk_size=64, tolerance=1e-6, steps=20)
        >>> many_counts(problem)
        (20,)
    """
    return _counts(problem, _UNKNOWN)


def _path_tokens(problem: Problem) -> int:
    return problem.clean.values[0].shape[1]


def _counts(problem: Problem, first: Sequence[int]) -> tuple[int, ...]:
    if problem.tolerance == 0:
        return (problem.steps,)
    grown = (first[-1] * _GROWTH**power for power in range(1, 10))
    # A number close to m would cost more than it saves.
    return (*(count for count in (*first, *grown) if count * 5 <= problem.steps * 3), problem.steps)


def settle(
    problem: Problem,
    evaluate: Evaluate,
    counts: Sequence[int],
    *,
    first: Sequence[Tensor] | None = None,
    at: Callable[[Problem, int], Problem] = Problem.with_nodes,
    top_k: int | None = None,
    ranked: int | None = None,
    leader: bool = False,
) -> Settled:
    """Scores from `counts` nodes in turn, each for the images that the one before did not settle.

    Args:
        problem: the search, with every node.
        evaluate: takes the search of some images with some nodes, and the positions of these images among all; returns
            per layer `Problem.sums` of the scores, (images, sums, width). An image is settled if all layers are.
        counts: numbers of nodes, the last m.
        first: the result of `evaluate` for all images and the first of the counts, where it is known.
        at: how the nodes are chosen: `Problem.with_nodes` or `Problem.with_mapped_nodes`.
        top_k: neurons per layer that are chosen; `None`: that of the problem.
        leader: whether the first of the chosen neurons must be clear of the others too.
        ranked: neurons per layer whose scores are reported; `None`: that of the problem.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.attribution import Problem, clean_pass, few_counts, path_score, path_sums, quadrature, settle
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, clean = nplight.open_vit(planted.model), clean_pass(nplight.open_vit(planted.model), planted.images)
        >>> nodes, weights = (values.to(planted.images) for values in quadrature(20, "riemann-left"))
        >>> problem = Problem(vit, clean, planted.labels, nodes, weights, chunk_size=64, tolerance=1e-6, steps=20)
        >>> def evaluate(part: Problem, images: torch.Tensor) -> list[torch.Tensor]:
        ...     return [path_sums(part, planted.paths[images])[..., None]]  # one "neuron": the path
        ...
        >>> settled = settle(problem, evaluate, few_counts(problem), top_k=0)
        >>> torch.allclose(settled.scores[0][:, 0], path_score(problem, planted.paths), rtol=1e-4)
        True
    """
    top_k, ranked = problem.top_k if top_k is None else top_k, problem.ranked if ranked is None else ranked
    images = torch.arange(len(problem.targets), device=problem.targets.device)
    evaluations = torch.zeros_like(images)
    scores: list[Tensor] = []
    for count in counts:
        if first is not None and not scores:
            sums = first
        else:
            part = at(problem, count)
            sums = evaluate(part if len(images) == len(evaluations) else part.of(images), images)
        evaluations[images] += count
        if not scores:
            scores = [layer[:, 0].clone() for layer in sums]
        else:
            for total, layer in zip(scores, sums):
                total[images] = layer[:, 0]
        if count == problem.steps:
            break
        sizes = {top_k, 1} if leader else {top_k}
        flags = [
            unsettled(layer, top_k=size, ranked=ranked, tolerance=problem.tolerance) for layer in sums for size in sizes
        ]
        images = images[torch.stack(flags).any(0)]
        if not len(images):
            break
    return Settled(scores, evaluations)
