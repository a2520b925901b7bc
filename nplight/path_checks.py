"""Checks of neurons, labels and positions, shared by the value types of `nplight.paths` and by their users."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from nplight.errors import ArgumentError, PositionError, check_dense, described, listed

__all__ = ["TOKENS", "Tokens", "check_labels", "check_neurons", "checked_shape", "is_position", "positions_of"]

Tokens = Literal["path", "all"]
"""The tokens at which neurons are read and edited: the model's path tokens, as in the paper, or every token."""

TOKENS: tuple[Tokens, ...] = ("path", "all")


def check_neurons(neurons: Tensor, widths: Sequence[int], *, images: int | None = None, distinct: bool = False) -> None:
    """Refuse neurons that are not valid indices into layers of `widths` neurons.

    Args:
        neurons: (images, layers, K) or (layers, K), int64.
        widths: neurons per layer.
        images: if given, also refuse paths for another number of images.
        distinct: also refuse a neuron that occurs twice in a layer.

    Raises:
        ArgumentError: naming the broken rule.
    """
    if not isinstance(neurons, Tensor) or neurons.dtype != torch.int64:
        kind = neurons.dtype if isinstance(neurons, Tensor) else type(neurons).__name__
        raise ArgumentError(f"`neurons` must be an int64 tensor, got {kind}")
    check_dense("neurons", neurons)
    shape = tuple(neurons.shape)
    if neurons.ndim not in (2, 3) or shape[-2] != len(widths) or 0 in shape:
        raise ArgumentError(
            f"`neurons` must be (images, layers, K) or (layers, K) with layers = {len(widths)} and K >= 1, got {shape}"
        )
    if images is not None and neurons.ndim == 3 and len(neurons) != images:
        raise ArgumentError(
            f"`neurons` must hold one path for each of the {images} images, or be one (layers, K) path for all, "
            f"got {len(neurons)} paths"
        )
    limits = torch.tensor(list(widths), device=neurons.device).unsqueeze(-1)
    outside = ((neurons < 0) | (neurons >= limits)).nonzero().tolist()
    if outside:
        layer = outside[0][-2]
        raise ArgumentError(
            f"`neurons` of layer {layer} must be in 0 … {widths[layer] - 1}, got {neurons[tuple(outside[0])].item()}"
        )
    if distinct:
        ordered = neurons.sort(dim=-1).values
        repeated = (ordered[..., 1:] == ordered[..., :-1]).nonzero().tolist()
        if repeated:
            raise ArgumentError(
                f"`neurons` of a layer must be distinct, got neuron {ordered[tuple(repeated[0])].item()} "
                f"twice in layer {repeated[0][-2]}"
            )


def check_labels(labels: Tensor, images: int, num_classes: int) -> None:
    """Refuse labels that are not one category per image.

    Raises:
        ArgumentError: naming the broken rule.
    """
    if isinstance(labels, Tensor):
        check_dense("labels", labels)
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != (images,):
        got = f"{labels.dtype} {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise ArgumentError(f"`labels` must be an int64 tensor of shape ({images},), got {got}")
    outside = ((labels < 0) | (labels >= num_classes)).nonzero().flatten().tolist()
    if outside:
        raise ArgumentError(
            f"`labels` must be in 0 … {num_classes - 1}, got {labels[outside[0]].item()} for image {outside[0]}"
        )


def check_no_category_empty(images: Tensor) -> None:
    """Refuse categories without images: (categories,) int64.

    Raises:
        ArgumentError: naming the categories.
    """
    empty = (images == 0).nonzero().flatten().tolist()
    if empty:
        raise ArgumentError(
            f"every category must have at least one image to form its path, "
            f"but categories {listed(empty)} have none; give them images or leave the categories out"
        )


def positions_of(images: Any, count: int) -> Tensor:
    """The positions of the chosen images.

    Args:
        images: the index given to a batch: a position, a slice, several positions, or a bool mask (count,).
        count: number of images.

    Returns:
        (chosen,) int64 in 0 … `count` - 1.

    Raises:
        PositionError: a position is out of range.
        ArgumentError: `images` is of another kind.
    """
    if isinstance(images, slice):
        try:
            return torch.arange(count)[list(range(*images.indices(count)))]
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"a slice of images must be of whole numbers, got {images}: {error}") from error
    if isinstance(images, Tensor) and images.dtype == torch.bool and images.shape == (count,):
        check_dense("images", images)
        return images.cpu().nonzero().flatten()
    if isinstance(images, Tensor):
        check_dense("images", images)
        images = images.tolist()
    chosen = list(images) if isinstance(images, (list, tuple, range)) else [images]
    if not all(map(is_position, chosen)):
        raise ArgumentError(
            f"images must be chosen by a position, a slice, several positions or a mask of {count} images, "
            f"got {described(images)}"
        )
    positions = list(map(operator.index, chosen))
    if outside := [position for position in positions if not -count <= position < count]:
        raise PositionError(f"the position of an image must be in 0 … {count - 1}, got {outside[0]}")
    return torch.tensor([position % count for position in positions], dtype=torch.int64)


def is_position(value: object) -> bool:
    """Whether a value is a single integer position; a bool or a tensor is none."""
    if isinstance(value, (bool, Tensor)):
        return False
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def checked_shape(name: str, value: Tensor, shape: tuple[int | None, ...], *, integer: bool = False) -> tuple[int, ...]:
    """The shape of a tensor, once it is known to be as required.

    Args:
        name: of the argument, for the message.
        value: the tensor.
        shape: the required shape; `None` stands for any size.
        integer: whether it must be int64.

    Raises:
        ArgumentError: the value is not a dense tensor, or has another shape or dtype.
    """
    if not isinstance(value, Tensor):
        raise ArgumentError(f"`{name}` must be a tensor, got {described(value)}")
    check_dense(name, value)
    actual = tuple(value.shape)
    if len(actual) != len(shape) or any(required not in (None, size) for required, size in zip(shape, actual)):
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        raise ArgumentError(f"`{name}` must have shape ({sizes}), got {actual}")
    if integer and value.dtype != torch.int64:
        raise ArgumentError(f"`{name}` must be int64, got {value.dtype}")
    return actual
