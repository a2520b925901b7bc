"""The conditions under which a path is tested, and the predictions under each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nplight.attribution import at_least_float32
from nplight.errors import check_fraction
from nplight.neurons import path_masks, pruned_masks, random_priority, scaled_neurons
from nplight.paths import CategoryPaths
from nplight.seeds import stream
from nplight.vit import OpenViT, undisturbed


@dataclass(frozen=True, slots=True)
class Condition:
    """One state of the model in which predictions are made.

    Attributes:
        name: `clean`; `removed` or `enhanced`: the category path times 0 or 2; `kept`: others pruned.
        kept: neurons a layer of the path that is removed, enhanced or kept; `None` for `clean`.
        pruned: for `kept`, the share of the other neurons that is pruned, in [0, 1].
    """

    name: Literal["clean", "removed", "enhanced", "kept"]
    kept: int | None = None
    pruned: float | None = None


def all_conditions(top_k: int, kept: Sequence[int], fractions: Sequence[float]) -> tuple[Condition, ...]:
    """Clean, removed, enhanced, and every number of neurons kept with every fraction of the others pruned.

    Args:
        top_k: neurons a layer of the path that is removed and enhanced.
        kept: numbers of neurons a layer to keep.
        fractions: shares of the others to prune, in [0, 1].

    Raises:
        ArgumentError: a fraction outside [0, 1].
    """
    for fraction in fractions:
        check_fraction("fractions", fraction)
    return (
        Condition("clean"),
        Condition("removed", top_k),
        Condition("enhanced", top_k),
        *(Condition("kept", size, fraction) for size in kept for fraction in fractions),
    )


@torch.no_grad()
def predictions(
    vit: OpenViT,
    images: Tensor,
    labels: Tensor,
    conditions: Sequence[Condition],
    paths: Mapping[int, CategoryPaths],
    *,
    seed: int = 0,
) -> list[Tensor]:
    """Predict a batch under each condition, each image edited along the path of its own category.

    Which neurons a fraction prunes is drawn for each category from `seed`, whatever the batch: 10% are among the 30%.

    Args:
        vit: the opened model.
        images: (images, channels, height, width).
        labels: (images,) int64.
        conditions: the conditions.
        paths: neurons a layer -> the category paths of that size.
        seed: chooses which neurons a fraction below 1 prunes.

    Returns:
        For each condition the probabilities (images, categories), float32 at least.
    """
    priority = _category_priority(vit, labels, seed) if any(_is_partial(one) for one in conditions) else None
    masks = {size: path_masks(found.of(labels), vit.widths) for size, found in paths.items()}
    found = []
    with undisturbed(vit.model):
        for condition in conditions:
            with _edit(vit, condition, masks, priority):
                found.append(at_least_float32(vit.forward(images)).softmax(-1))
    return found


def _edit(
    vit: OpenViT, condition: Condition, masks: Mapping[int, list[Tensor]], priority: list[Tensor] | None
) -> AbstractContextManager[None]:
    if condition.kept is None:
        return nullcontext()
    path = masks[condition.kept]
    if condition.pruned is None:
        return scaled_neurons(vit, path, 2.0 if condition.name == "enhanced" else 0.0)
    return scaled_neurons(vit, pruned_masks(path, condition.pruned, priority), 0.0)


def _is_partial(condition: Condition) -> bool:
    return condition.pruned is not None and condition.pruned < 1


def _category_priority(vit: OpenViT, labels: Tensor, seed: int) -> list[Tensor]:
    categories, place = labels.cpu().unique(return_inverse=True)
    drawn = [random_priority(1, vit.widths, stream(seed, category)) for category in categories.tolist()]
    return [torch.cat(layer)[place].to(labels.device) for layer in zip(*drawn)]
