"""What is written over neurons: nothing but zeros, or reference values gathered from images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from nplight.errors import ArgumentError, check_choice, check_dense, described, listed
from nplight.neurons.sites import Tokens

Fill = Literal["zero", "mean", "peak", "resample"]

FILLS: tuple[Fill, ...] = ("zero", "mean", "peak", "resample")


@dataclass(frozen=True, slots=True)
class References(ABC):
    """Values that a fill writes over neurons.

    Attributes:
        fill: the fill they are for.
        tokens: the tokens at which they were gathered.
    """

    fill: Fill
    tokens: Tokens

    @abstractmethod
    def of(self, images: Tensor | None = None) -> Mapping[int, Tensor]:
        """The values for a batch of images.

        Args:
            images: (images, channels, height, width), what will pass the model; only `resample` needs them.

        Returns:
            layer -> (1 or images, 1 or tokens, width).

        Raises:
            ArgumentError: the values depend on the images and there are none.
        """


@dataclass(frozen=True, slots=True)
class FixedReferences(References):
    """One value for each neuron, the same for every image and token.

    Attributes:
        values: layer -> (1, 1, width), in float64.
    """

    values: Mapping[int, Tensor]

    def of(self, images: Tensor | None = None) -> Mapping[int, Tensor]:
        """The values, whatever the images."""
        return self.values


def resolve(
    fill: Fill, references: References | Mapping[int, Tensor] | None, tokens: Tokens, widths: Sequence[int]
) -> Mapping[int, Tensor] | None:
    """The values of a fill by layer; `None` for `zero`.

    Raises:
        ArgumentError: the fill and the references, their tokens or their shapes do not fit.
    """
    check_choice("fill", fill, FILLS)
    if fill == "zero":
        if references is not None:
            raise ArgumentError(
                "`references` must be None for fill 'zero', got some; name the fill that they are for, such as 'mean'"
            )
        return None
    if references is None:
        raise ArgumentError(
            f"fill {fill!r} needs `references`, the values to write, got None; "
            f"gather them with nplight.references(model, batches, {fill!r})"
        )
    if isinstance(references, References):
        for argument, wanted, found in (("fill", fill, references.fill), ("tokens", tokens, references.tokens)):
            if wanted != found:
                raise ArgumentError(
                    f"`references` were gathered for {argument}={found!r}, got {argument}={wanted!r}; "
                    f"gather them with nplight.references(model, batches, {fill!r}, tokens={tokens!r})"
                )
        references = references.of()
    check_values(references, widths)
    return references


def check_values(values: Mapping[int, Tensor], widths: Sequence[int]) -> None:
    """Refuse values that are not (1 or images, 1 or tokens, width) for every layer.

    Raises:
        ArgumentError: naming the layers that lack values, or the first whose shape is wrong.
    """
    if not isinstance(values, Mapping):
        raise ArgumentError(
            f"`references` must be those of nplight.references, or a mapping of layers to tensors, "
            f"got {described(values)}"
        )
    lacking = [layer for layer in range(len(widths)) if layer not in values]
    if lacking:
        raise ArgumentError(f"`references` must hold values for every layer, got none for layers {listed(lacking)}")
    for layer, width in enumerate(widths):
        if not isinstance(values[layer], Tensor):
            raise ArgumentError(f"`references` of layer {layer} must be a tensor, got {described(values[layer])}")
        check_dense("references", values[layer])
        shape = tuple(values[layer].shape)
        if len(shape) != 3 or shape[-1] != width:
            raise ArgumentError(
                f"`references` of layer {layer} must be (1 or images, 1 or tokens, {width}), got {shape}"
            )
