"""Groups of images that fit a chunk, each searched as one `Problem`, and their results as paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from nplight.attribution import (
    NODES_IN_FLIGHT,
    OBJECTIVES,
    PathScores,
    Problem,
    check_finite,
    check_objective,
    clean_pass,
    frozen_pass,
    path_effect,
    quadrature,
    resolve_chunk_size,
)
from nplight.errors import NonFiniteError
from nplight.paths import PathBatch
from nplight.searching.options import SearchOptions
from nplight.vit import OpenViT, gradients, named_dtypes, undisturbed

Result = TypeVar("Result")


def in_groups(
    vit: OpenViT,
    images: Tensor,
    targets: Tensor | None,
    options: SearchOptions,
    run: Callable[[Problem, slice], Result],
) -> list[Result]:
    """Call `run` on groups of images whose node rows fit a chunk, with the model undisturbed.

    Args:
        vit: the opened model, in any mode.
        images: (images, channels, height, width), checked; also tensors made under `torch.inference_mode`.
        targets: (images,) int64; `None`: the predicted categories.
        options: of the search.
        run: takes the problem of a group and the slice of its images.

    Returns:
        The results of `run`, one per group.

    Raises:
        ArgumentError: the model has too few categories for the objective.
        NonFiniteError: raised in a group, with positions among all images.
    """
    check_objective(options.objective, vit.num_classes)
    results, frozen = [], options.patch_stream == "frozen"
    vit = vit.with_all_tokens() if options.tokens == "all" else vit
    nodes_and_weights = quadrature(options.steps, options.rule)
    with undisturbed(vit.model), gradients(), named_dtypes(vit.model):
        # Autograd cannot use tensors that were made under inference_mode.
        images = images.clone() if images.is_inference() else images.detach()
        targets = targets.clone() if targets is not None and targets.is_inference() else targets
        chunk = resolve_chunk_size(vit, images[:1], options.chunk_size, options.patch_stream)
        tolerance = options.tolerance_for(compute_dtype(vit, images.device))
        # With few nodes per image more images fill a chunk; the keys and values of frozen images are what takes memory.
        per_image = options.steps if frozen or not tolerance else min(options.steps, NODES_IN_FLIGHT)
        size = max(1, chunk // per_image)
        for start in range(0, len(images), size):
            part = slice(start, start + size)
            try:
                clean = frozen_pass(vit, images[part]) if frozen else clean_pass(vit, images[part])
                categories = clean.logits.argmax(1) if targets is None else targets[part].to(images.device)
                nodes, weights = (values.to(clean.values[0]) for values in nodes_and_weights)
                problem = Problem(
                    vit,
                    clean,
                    categories,
                    nodes,
                    weights,
                    chunk,
                    options.rule,
                    options.top_k,
                    options.ranked,
                    options.seed,
                    options.candidates,
                    OBJECTIVES[options.objective],
                    tolerance,
                    tokens=options.tokens,
                )
                results.append(run(problem, part))
            except NonFiniteError as error:
                raise NonFiniteError(error.what, [start + position for position in error.positions]) from None
    return results


def compute_dtype(vit: OpenViT, device: torch.device) -> torch.dtype:
    """The dtype in which the blocks compute: that of autocast or, without it, of the weights."""
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return vit.down[0].linear.weight.dtype


def as_paths(problem: Problem, best: PathScores) -> PathBatch:
    """The paths of a group of images, the first `top_k` neurons of each layer, from their rankings.

    Raises:
        NonFiniteError: a score is NaN or infinite, naming the positions.
    """
    check_finite("the search gave NaN or infinite scores", best.scores, best.ranking_scores)
    return PathBatch(
        neurons=best.ranking[..., : problem.top_k].clone(),
        neuron_scores=best.ranking_scores[..., : problem.top_k].clone(),
        scores=best.scores,
        effect=path_effect(problem, best.ranking[..., : problem.top_k]),
        targets=problem.targets,
        probability=problem.clean.probability(problem.targets),
        predictions=problem.clean.logits.argmax(1),
        ranking=best.ranking,
        ranking_scores=best.ranking_scores,
        evaluations=best.evaluations,
        margin=best.margin,
        tokens=problem.tokens,
    )
