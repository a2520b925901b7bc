"""Predictions of a batch along the paths of its categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nplight.metrics.condition_forward import ConditionForward
from nplight.metrics.conditions import Condition
from nplight.metrics.edited_forward import EditedForward
from nplight.metrics.prune_priority import category_priority
from nplight.neurons import References, Tokens, path_masks, pruned_masks, scaling
from nplight.paths import CategoryPaths
from nplight.vit import OpenViT, undisturbed


def predictions(
    vit: OpenViT,
    images: Tensor,
    labels: Tensor,
    conditions: Sequence[Condition],
    paths: Mapping[str, Mapping[int, CategoryPaths]],
    *,
    seed: int = 0,
    references: Mapping[Tokens, References] | None = None,
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
        references: edited tokens -> the fill of pruned neurons; without, they are 0.

    Returns:
        Method -> per condition the probabilities (images, categories), at least float32.

    Examples:
        >>> import nplight
        >>> from nplight.metrics import Condition, predictions
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> paths = nplight.category_paths(planted.truth[planted.labels], planted.labels, num_classes=4)
        >>> conditions = [Condition("clean"), Condition("removed", kept=1)]
        >>> vit = nplight.open_vit(planted.model)
        >>> found = predictions(vit, planted.images, planted.labels, conditions, {"truth": {1: paths}})
        >>> [int((probability.argmax(1) == planted.labels).sum()) for probability in found["truth"]]  # of 16
        [16, 0]
    """
    partial = any(condition.pruned not in (None, 1) for condition in conditions)
    priority = category_priority(vit.widths, labels, seed) if partial else None
    with undisturbed(vit.model), torch.no_grad():
        forward = ConditionForward(vit, images, priority=priority, references=references or {})
        return {
            method: forward.probabilities(conditions, {size: found.of(labels) for size, found in sizes.items()})
            for method, sizes in paths.items()
        }


def path_predictions(vit: OpenViT, images: Tensor, paths: CategoryPaths) -> Tensor:
    """Predict a batch under each category's path, with all other neurons pruned to zero.

    Args:
        vit: the opened model.
        images: (images, channels, height, width).
        paths: the category paths.

    Returns:
        The predicted categories, (paths, images) int64.

    Examples:
        >>> import nplight
        >>> from nplight.metrics import path_predictions
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> paths = nplight.category_paths(planted.truth[planted.labels], planted.labels, num_classes=4)
        >>> path_predictions(nplight.open_vit(planted.model), planted.images[:4], paths).shape
        torch.Size([4, 4])
    """
    with undisturbed(vit.model), torch.no_grad():
        forward = EditedForward(vit, images, paths.tokens)
        pruned = (pruned_masks(path_masks(path[None], vit.widths), 1.0) for path in paths.neurons.to(images.device))
        edited_logits = forward.edited(scaling(masks, 0.0, shared=True) for masks in pruned)
        return torch.stack([logits.argmax(1) for logits in edited_logits])
