"""Layer 0, whose integrand is the sharpest: few nodes for the images that these settle, more for the others.

Which images those are is guessed from a search with frozen patch tokens, whose node rows are one token long. A wrong
guess costs time, not the result: what the first nodes do not settle goes on to more, at last to every node.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nplight.attribution.error_estimate import unsettled
from nplight.attribution.frozen import FrozenPass, frozen_pass, reads_class_token
from nplight.attribution.problem import Problem
from nplight.attribution.settling import Evaluate, Settled, first_counts, settle


def settle_first_layer(problem: Problem, evaluate: Evaluate) -> Settled:
    """The scores of layer 0, from as many nodes as each image needs.

    Args:
        problem: the search, with every node.
        evaluate: as `settle` takes it, for layer 0.
    """
    counts = first_counts(problem)
    sharp = _looks_sharp(problem, evaluate, counts[0]) if len(counts) > 1 else torch.zeros(0, dtype=torch.bool)
    if not sharp.any():
        return settle(problem, evaluate, counts, at=Problem.with_mapped_nodes)
    parts = []
    for images, numbers in (((~sharp).nonzero().flatten(), counts), (sharp.nonzero().flatten(), counts[1:])):
        if len(images):
            parts.append((images, _of(problem, evaluate, images, numbers)))
    order = torch.cat([images for images, _ in parts]).argsort()
    scores = [torch.cat(layers)[order] for layers in zip(*(settled.scores for _, settled in parts))]
    return Settled(scores, torch.cat([settled.evaluations for _, settled in parts])[order])


def _of(problem: Problem, evaluate: Evaluate, images: Tensor, counts: tuple[int, ...]) -> Settled:
    def of_these(part: Problem, positions: Tensor) -> list[Tensor]:
        return list(evaluate(part, images[positions]))

    return settle(problem.of(images), of_these, counts, at=Problem.with_mapped_nodes)


def _looks_sharp(problem: Problem, evaluate: Evaluate, count: int) -> Tensor:
    """Whether `count` nodes would not settle an image if its patch tokens were frozen, (images,)."""
    can_freeze = problem.runner.in_parts and reads_class_token(problem.vit)
    if isinstance(problem.clean, FrozenPass) or not can_freeze:
        return torch.zeros_like(problem.targets, dtype=torch.bool)
    frozen = replace(problem, clean=frozen_pass(problem.vit, problem.clean.images))
    sums = evaluate(frozen.with_mapped_nodes(count), torch.arange(len(problem.targets), device=problem.targets.device))
    top_k, ranked, tolerance = problem.top_k, problem.ranked, problem.tolerance
    return torch.stack([unsettled(layer, top_k=top_k, ranked=ranked, tolerance=tolerance) for layer in sums]).any(0)
