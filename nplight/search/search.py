"""`search` and `joint_score`: arguments checked, the model guarded, images in groups that fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

import torch
from torch import Tensor, nn

from nplight.attribution import (
    CleanPass,
    PathScores,
    check_finite,
    clean_pass,
    path_score,
    quadrature,
    resolve_chunk_size,
)
from nplight.errors import NonFiniteError, check_choice
from nplight.paths import PathBatch, check_neurons
from nplight.search.activation import activation
from nplight.search.conductance import conductance
from nplight.search.cross_layer import cross_layer
from nplight.search.gradient_activation import gradient_activation
from nplight.search.influence_pattern import influence_pattern
from nplight.search.influence_pattern_chain import influence_pattern_chain
from nplight.search.integrated_gradients import integrated_gradients
from nplight.search.jas import jas
from nplight.search.options import SearchOptions
from nplight.search.random import random
from nplight.vit import OpenViT, gradients, open_vit, undisturbed

Method = Callable[[OpenViT, CleanPass, Tensor, SearchOptions, int], PathScores]

Result = TypeVar("Result")

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "jas": jas,
        "activation": activation,
        "influence_pattern": influence_pattern,
        "influence_pattern_chain": influence_pattern_chain,
        "integrated_gradients": integrated_gradients,
        "conductance": conductance,
        "gradient_activation": gradient_activation,
        "cross_layer": cross_layer,
        "random": random,
    }
)


def search(
    model: nn.Module | OpenViT,
    images: Tensor,
    targets: Tensor | None = None,
    *,
    method: str = "jas",
    top_k: int = 1,
    ranked: int | None = None,
    steps: int = 20,
    rule: str = "riemann-left",
    patch_stream: str = "exact",
    chunk_size: int | None = None,
) -> PathBatch:
    """Find the neuron path of each image.

    An image's path does not depend on the others in the batch. Works in any mode, also inside `torch.inference_mode`,
    and leaves the model as it was.

    Args:
        model: a supported model, in whatever mode, dtype and device.
        images: (images, channels, height, width), normalised as the model expects, of its dtype.
        targets: (images,) int64, the category whose probability is attributed; `None`: the predicted one.
        method: one of `METHODS`; `jas` is the paper's Algorithm 1.
        top_k: neurons a layer on the path, K.
        ranked: candidates a layer to return in order, R; `None`: K. One search with K = 1 ranks the sets for every
            size up to R.
        steps: quadrature nodes, m.
        rule: one of `RULES`.
        patch_stream: `exact`.
        chunk_size: (image, node) rows in flight, which bounds the memory; `None` picks from the memory there is.

    Returns:
        The paths, without a graph, on the device of the images.

    Raises:
        UnsupportedModelError: the model cannot be opened.
        ArgumentError: an argument is wrong.
        NonFiniteError: NaN or infinite values appeared, naming the images.
    """
    check_choice("method", method, METHODS)
    ranked = top_k if ranked is None else ranked
    options = SearchOptions(top_k, ranked, steps, rule, patch_stream, chunk_size)
    vit = open_vit(model)
    vit.check_top_k(top_k)
    vit.check_top_k(ranked, "ranked")
    vit.check_images(images)
    if targets is not None:
        vit.check_targets(targets, len(images))

    def run(clean: CleanPass, part: slice, wanted: Tensor, chunk: int) -> PathBatch:
        found = METHODS[method](vit, clean, wanted, options, chunk)
        check_finite("the search gave NaN or infinite scores", found.scores, found.ranking_scores)
        return PathBatch(
            neurons=found.ranking[..., :top_k].clone(),
            neuron_scores=found.ranking_scores[..., :top_k].clone(),
            scores=found.scores,
            targets=wanted,
            probability=clean.probability(wanted),
            predictions=clean.logits.argmax(1),
            ranking=found.ranking,
            ranking_scores=found.ranking_scores,
        )

    return PathBatch.cat(_in_groups(vit, images, targets, steps, chunk_size, run))


def joint_score(
    model: nn.Module | OpenViT,
    images: Tensor,
    targets: Tensor | None,
    neurons: Tensor,
    *,
    steps: int = 20,
    rule: str = "riemann-left",
    chunk_size: int | None = None,
) -> Tensor:
    """The joint attribution score of given paths (Wang et al., ICLR 2025, Eq. 3).

    Args:
        model: a supported model, in whatever mode, dtype and device.
        images: (images, channels, height, width), normalised as the model expects, of its dtype.
        targets: (images,) int64; `None`: the predicted categories.
        neurons: (images, layers, K) int64, or (layers, K) for one path for all; distinct in a layer.
        steps: quadrature nodes, m.
        rule: one of `RULES`.
        chunk_size: (image, node) rows in flight; `None` picks from the memory there is.

    Returns:
        (images,), float32 at least, without a graph.

    Raises:
        UnsupportedModelError: the model cannot be opened.
        ArgumentError: an argument is wrong.
        NonFiniteError: NaN or infinite values appeared, naming the images.
    """
    nodes, weights = quadrature(steps, rule)
    vit = open_vit(model)
    vit.check_images(images)
    if targets is not None:
        vit.check_targets(targets, len(images))
    check_neurons(neurons, vit.widths, images=len(images), distinct=True)
    neurons = neurons.to(images.device).expand(len(images), -1, -1)

    def run(clean: CleanPass, part: slice, wanted: Tensor, chunk: int) -> Tensor:
        scores = path_score(vit, clean, wanted, neurons[part], nodes=nodes, weights=weights, chunk_size=chunk)
        check_finite("the joint score is NaN or infinite", scores)
        return scores

    return torch.cat(_in_groups(vit, images, targets, steps, chunk_size, run))


def _in_groups(
    vit: OpenViT,
    images: Tensor,
    targets: Tensor | None,
    steps: int,
    chunk_size: int | None,
    run: Callable[[CleanPass, slice, Tensor, int], Result],
) -> list[Result]:
    """On a guarded model, run something on the clean pass of as many images at a time as their rows fit a chunk."""
    results = []
    with gradients(), undisturbed(vit.model):
        # Autograd cannot use tensors that were made under inference_mode.
        images = images.clone() if images.is_inference() else images.detach()
        targets = targets.clone() if targets is not None and targets.is_inference() else targets
        chunk = resolve_chunk_size(vit, images[:1], chunk_size)
        size = max(1, chunk // steps)
        for start in range(0, len(images), size):
            part = slice(start, start + size)
            try:
                clean = clean_pass(vit, images[part])
                wanted = clean.logits.argmax(1) if targets is None else targets[part].to(images.device)
                results.append(run(clean, part, wanted, chunk))
            except NonFiniteError as error:
                raise NonFiniteError(error.what, [start + position for position in error.positions]) from None
    return results
