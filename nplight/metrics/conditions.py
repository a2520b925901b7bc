"""The conditions under which a path is tested, and the predictions under each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nplight.attribution import at_least_float32
from nplight.errors import check_fraction
from nplight.neurons import (
    References,
    Tokens,
    path_masks,
    pruned_masks,
    random_priority,
    replaced_neurons,
    scaled_neurons,
)
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
        *(Condition("kept", size, fraction) for size in kept for fraction in dict.fromkeys(fractions)),
    )


@torch.no_grad()
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

    Which neurons a fraction prunes is drawn for each category from `seed`, whatever the batch and the method: 10% are
    among the 30%.

    Args:
        vit: the opened model.
        images: (images, channels, height, width).
        labels: (images,) int64.
        conditions: the conditions.
        paths: method -> neurons a layer -> the category paths of that size.
        seed: chooses which neurons a fraction below 1 prunes.
        references: what stands in a pruned neuron; `None`: 0.
        tokens: the tokens that are edited, `path` or `all`.

    Returns:
        For each method and condition the probabilities (images, categories), float32 at least; those without an edit
        are the same tensor for all methods.
    """
    priority = _category_priority(vit, labels, seed) if any(_is_partial(one) for one in conditions) else None
    with undisturbed(vit.model):
        values = None if references is None else references.of(images)
        stream = vit.embed(images)

        def probabilities() -> Tensor:
            return at_least_float32(vit.forward_from(0, stream)).softmax(-1)

        def edited(condition: Condition, masks: Mapping[int, list[Tensor]]) -> Tensor:
            if condition.kept is None:
                return clean
            with _edit(vit, condition, masks[condition.kept], priority, values, tokens):
                return probabilities()

        clean = probabilities()
        found = {}
        for method, sizes in paths.items():
            masks = {size: path_masks(one.of(labels), vit.widths) for size, one in sizes.items()}
            found[method] = [edited(condition, masks) for condition in conditions]
    return found


@torch.no_grad()
def path_predictions(vit: OpenViT, images: Tensor, paths: CategoryPaths) -> Tensor:
    """Predict a batch under the path of every category, all other neurons of every image pruned to zero.

    Args:
        vit: the opened model.
        images: (images, channels, height, width).
        paths: the category paths.

    Returns:
        The predicted categories, (paths, images) int64.
    """
    with undisturbed(vit.model):
        stream = vit.embed(images)
        found = []
        for neurons in paths.neurons.to(images.device):
            pruned = pruned_masks(path_masks(neurons.unsqueeze(0), vit.widths), 1.0)
            with scaled_neurons(vit, pruned, 0.0, shared=True):
                found.append(vit.forward_from(0, stream).argmax(1))
    return torch.stack(found)


def _edit(
    vit: OpenViT,
    condition: Condition,
    path: list[Tensor],
    priority: list[Tensor] | None,
    values: Mapping[int, Tensor] | None,
    tokens: Tokens,
) -> AbstractContextManager[None]:
    if condition.pruned is None:
        return scaled_neurons(vit, path, 2.0 if condition.name == "enhanced" else 0.0, tokens=tokens)
    pruned = pruned_masks(path, condition.pruned, priority)
    if values is not None:
        return replaced_neurons(vit, pruned, values, tokens=tokens)
    return scaled_neurons(vit, pruned, 0.0, tokens=tokens)


def _is_partial(condition: Condition) -> bool:
    return condition.pruned is not None and condition.pruned < 1


def _category_priority(vit: OpenViT, labels: Tensor, seed: int) -> list[Tensor]:
    categories, place = labels.cpu().unique(return_inverse=True)
    drawn = [random_priority(1, vit.widths, stream(seed, category)) for category in categories.tolist()]
    return [torch.cat(layer)[place].to(labels.device) for layer in zip(*drawn)]
