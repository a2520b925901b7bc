"""The conditions under which a path is tested, and the predictions under each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nplight.errors import check_fraction
from nplight.metrics.edited_forward import EditedForward
from nplight.neurons import (
    Edit,
    References,
    Tokens,
    path_masks,
    prune_order,
    pruned_masks,
    random_priority,
    replacing,
    scaling,
)
from nplight.paths import CategoryPaths
from nplight.seeds import seeded_generator
from nplight.vit import OpenViT, undisturbed

UNEDITED = ("clean", "own clean")
"""Names of the conditions without an edit."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A state of the model in which predictions are made.

    Attributes:
        name: `clean`; `removed` or `enhanced`: the category path multiplied by 0 or 2; `kept`: other neurons pruned;
            `none`: all neurons pruned; `own clean`, `own removed`, `own enhanced`: the same along each image's own
            path.
        kept: neurons per layer of the path that is removed, enhanced or kept; `None` for `clean`.
        pruned: for `kept`, the pruned share of the other neurons, in [0, 1].
    """

    name: Literal["clean", "removed", "enhanced", "kept", "none", "own clean", "own removed", "own enhanced"]
    kept: int | None = None
    pruned: float | None = None


def all_conditions(top_k: int, kept: Sequence[int], fractions: Sequence[float]) -> tuple[Condition, ...]:
    """Clean, removed, enhanced, and each number of neurons kept with each fraction of the others pruned.

    Args:
        top_k: neurons per layer of the path that is removed and enhanced.
        kept: numbers of neurons per layer to keep.
        fractions: shares of the other neurons to prune, in [0, 1].

    Raises:
        ArgumentError: a fraction is outside [0, 1].
    """
    for fraction in fractions:
        check_fraction("fractions", fraction)
    return (
        Condition("clean"),
        Condition("removed", top_k),
        Condition("enhanced", top_k),
        *(Condition("kept", size, fraction) for size in kept for fraction in dict.fromkeys(fractions)),
    )


def predictions(
    vit: OpenViT,
    images: Tensor,
    labels: Tensor,
    conditions: Sequence[Condition],
    paths: Mapping[str, Mapping[int, CategoryPaths]],
    *,
    seed: int = 0,
    references: References | None = None,
    tokens: Tokens = "path",
) -> dict[str, list[Tensor]]:
    """Predict a batch under each condition, each image edited along the path of its own category.

    The neurons that a fraction prunes are drawn per category from `seed`, independently of the batch and the method.
    They are nested: the 10% are among the 30%.

    Args:
        vit: the opened model.
        images: (images, channels, height, width).
        labels: (images,) int64.
        conditions: the conditions.
        paths: method -> neurons per layer -> the category paths of that size.
        seed: of the neurons that a fraction below 1 prunes.
        references: the fill of pruned neurons; `None`: 0.
        tokens: the edited tokens, `path` or `all`.

    Returns:
        Method -> per condition the probabilities (images, categories), at least float32; the clean ones are the same
        tensor for all methods.
    """
    partial = any(condition.pruned not in (None, 1) for condition in conditions)
    priority = _category_priority(vit, labels, seed) if partial else None
    with undisturbed(vit.model), torch.no_grad():
        values = None if references is None else references.of(images)
        forward = EditedForward(vit, images, tokens)
        clean = forward.clean().softmax(-1)
        probabilities = {}
        for method, sizes in paths.items():
            masks = {size: path_masks(category.of(labels), vit.widths) for size, category in sizes.items()}
            orders = {} if priority is None else {size: prune_order(path, priority) for size, path in masks.items()}
            logits = forward.edited(
                _edit(condition, masks[condition.kept], orders.get(condition.kept), values)
                for condition in conditions
                if condition.kept is not None
            )
            probabilities[method] = [
                clean if condition.kept is None else next(logits).softmax(-1) for condition in conditions
            ]
    return probabilities


def path_predictions(vit: OpenViT, images: Tensor, paths: CategoryPaths) -> Tensor:
    """Predict a batch under each category's path, with all other neurons pruned to zero.

    Args:
        vit: the opened model.
        images: (images, channels, height, width).
        paths: the category paths.

    Returns:
        The predicted categories, (paths, images) int64.
    """
    with undisturbed(vit.model), torch.no_grad():
        forward = EditedForward(vit, images)
        pruned = (pruned_masks(path_masks(path[None], vit.widths), 1.0) for path in paths.neurons.to(images.device))
        edited_logits = forward.edited(scaling(masks, 0.0, shared=True) for masks in pruned)
        return torch.stack([logits.argmax(1) for logits in edited_logits])


def _edit(
    condition: Condition,
    path: list[Tensor],
    order: list[Tensor] | None,
    values: Mapping[int, Tensor] | None,
) -> Edit:
    if condition.pruned is None:
        return scaling(path, 2.0 if condition.name == "enhanced" else 0.0)
    pruned = pruned_masks(path, condition.pruned, order)
    return scaling(pruned, 0.0) if values is None else replacing(pruned, values)


def _category_priority(vit: OpenViT, labels: Tensor, seed: int) -> list[Tensor]:
    categories, positions = labels.cpu().unique(return_inverse=True)
    drawn = [random_priority(1, vit.widths, seeded_generator(seed, category)) for category in categories.tolist()]
    return [torch.cat(layer)[positions].to(labels.device) for layer in zip(*drawn)]
