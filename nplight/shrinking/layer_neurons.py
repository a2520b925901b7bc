"""The neurons of each layer that an edit at all tokens is for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nplight.errors import ArgumentError, check_dense, described, listed
from nplight.paths import CategoryPaths, PathBatch, check_neurons
from nplight.store import PathTable
from nplight.vit import OpenViT

Neurons = Tensor | Sequence[Tensor] | PathBatch | CategoryPaths | PathTable
"""Neurons of every layer: a path (layers, K); per layer (K,) int64, or (width,) bool; or paths, for their union."""


def layer_neurons(
    vit: OpenViT, neurons: Neurons, *, every_layer: bool = True, any_tokens: bool = False
) -> list[Tensor]:
    """The neurons of every layer.

    Args:
        vit: the opened model.
        neurons: (layers, K) int64, repeated ones count once; a list with one tensor per layer, indices (K,) int64 or a
            mask (width,) bool; or a `PathBatch`, `CategoryPaths` or the `PathTable` of a run: the union of its paths,
            if they were searched at all tokens of the model.
        every_layer: whether every layer must have one; else the model must.
        any_tokens: whether paths of any tokens are taken.

    Returns:
        Per layer (K,) int64, ascending, on the CPU; K may differ by layer.

    Raises:
        ArgumentError: the neurons are not those of the model, a layer or the model has none, or the paths were not
            searched at all tokens.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.shrinking import layer_neurons
        >>> planted = build_planted(PLANTED["chain"])
        >>> neurons = torch.tensor([[3, 1], [2, 2], [0, 5], [7, 4]])  # (layers, K)
        >>> [layer.tolist() for layer in layer_neurons(nplight.open_vit(planted.model), neurons)]
        [[1, 3], [2], [0, 5], [4, 7]]
    """
    if isinstance(neurons, (PathBatch, CategoryPaths, PathTable)):
        if not any_tokens:
            _refuse_path_tokens(vit, neurons)
        return _union(vit, neurons)
    if isinstance(neurons, Tensor):
        check_neurons(neurons, vit.widths)
        if neurons.ndim == 3:
            raise ArgumentError(
                f"`neurons` must be one path (layers, K) for the whole model, got paths of {len(neurons)} images; "
                f"give one of them, or per layer a tensor of all their neurons"
            )
        neurons = list(neurons.cpu())
    if not isinstance(neurons, (list, tuple)) or not all(isinstance(layer, Tensor) for layer in neurons):
        raise ArgumentError(
            f"`neurons` must be a tensor (layers, K), a list with one tensor per layer, or paths, "
            f"got {described(neurons)}"
        )
    if len(neurons) != vit.depth:
        raise ArgumentError(
            f"`neurons` must have one entry for each of the {vit.depth} layers of the model, got {len(neurons)}"
        )
    chosen = [_of_layer(layer, given, vit.widths[layer]) for layer, given in enumerate(neurons)]
    empty = [layer for layer, numbers in enumerate(chosen) if not len(numbers)]
    if empty and (every_layer or len(empty) == len(chosen)):
        which = "every layer" if every_layer else "the model"
        raise ArgumentError(f"`neurons` must hold at least one neuron of {which}, got none of layers {listed(empty)}")
    return chosen


def removed_neurons(vit: OpenViT, kept: Sequence[Tensor]) -> list[Tensor]:
    """The neurons of every layer that are not kept, ascending: per layer (K,) int64 -> per layer (width - K,)."""
    every = [torch.ones(width, dtype=torch.bool) for width in vit.widths]
    masks = [mask.index_fill(0, chosen, False) for mask, chosen in zip(every, kept)]
    return [mask.nonzero().flatten() for mask in masks]


def _of_layer(layer: int, chosen: Tensor, width: int) -> Tensor:
    check_dense("neurons", chosen)
    if chosen.dtype == torch.bool and chosen.shape == (width,):
        chosen = chosen.nonzero()[:, 0]
    if chosen.dtype != torch.int64 or chosen.ndim != 1:
        raise ArgumentError(
            f"`neurons` of layer {layer} must be indices (K,) int64 or a mask ({width},) bool, got {described(chosen)}"
        )
    outside: list[int] = chosen[(chosen < 0) | (chosen >= width)].tolist()
    if outside:
        raise ArgumentError(
            f"`neurons` of layer {layer} must be in 0 … {width - 1}, the neurons of this model, got {listed(outside)}"
        )
    distinct: Tensor = chosen.unique()
    return distinct.cpu()


def _union(vit: OpenViT, paths: PathBatch | CategoryPaths | PathTable) -> list[Tensor]:
    masks = [torch.zeros(width, dtype=torch.bool) for width in vit.widths]
    parts: Any = (batch["neurons"] for batch in paths.batches(["neurons"])) if isinstance(paths, PathTable) else None
    for neurons in [paths.neurons] if isinstance(paths, (PathBatch, CategoryPaths)) else parts:
        if len(neurons):
            check_neurons(neurons, vit.widths)
            for layer, mask in enumerate(masks):
                mask[neurons[:, layer].flatten().cpu()] = True
    return [_of_layer(layer, mask, vit.widths[layer]) for layer, mask in enumerate(masks)]


def _refuse_path_tokens(vit: OpenViT, paths: PathBatch | CategoryPaths | PathTable) -> None:
    if paths.tokens == "path" and not vit.has_all_path_tokens:
        start, stop = vit.path_tokens.start or 0, vit.path_tokens.stop
        tokens = f"tokens {start} and later" if stop is None else f"tokens {listed(range(start, stop))}"
        raise ArgumentError(
            f"`neurons` are a {type(paths).__name__}, whose paths were searched at the model's path tokens alone, "
            f"{tokens}: its other tokens still use every neuron, so that these paths hold for no edit at all tokens. "
            f"Search with tokens='all'; or give neurons that were chosen at all tokens, a tensor (layers, K)"
        )
