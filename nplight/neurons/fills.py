"""Fills, the values written over neurons: zeros, or references gathered from images."""

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
    """The values that a fill writes over neurons.

    Attributes:
        fill: the fill of the values.
        tokens: the tokens at which they were gathered.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import nplight
        >>> peak = nplight.references(planted.model, [planted.images], "peak", tokens="all")
        >>> peak.fill, peak.tokens
        ('peak', 'all')
    """

    fill: Fill
    tokens: Tokens

    @abstractmethod
    def of(self, images: Tensor | None = None) -> Mapping[int, Tensor]:
        """The values for a batch of images.

        Args:
            images: (images, channels, height, width), the input of the edited forward pass; required by `resample`.

        Returns:
            layer -> (1 or images, 1 or tokens, width).

        Raises:
            ArgumentError: the values depend on the images, and `images` is `None`.
        """


@dataclass(frozen=True, slots=True)
class FixedReferences(References):
    """One value per neuron, the same for every image and token.

    Attributes:
        values: layer -> (1, 1, width), in float64.

    Examples:
        >>> import nplight
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> mean = nplight.references(planted.model, [planted.images], "mean")
        >>> mean.values[0].shape
        torch.Size([1, 1, 256])
    """

    values: Mapping[int, Tensor]

    def of(self, images: Tensor | None = None) -> Mapping[int, Tensor]:
        """The values; `images` is ignored."""
        return self.values


def resolve(
    fill: Fill, references: References | Mapping[int, Tensor] | None, tokens: Tokens, widths: Sequence[int]
) -> Mapping[int, Tensor] | None:
    """The values of a fill by layer; `None` for `zero`.

    Raises:
        ArgumentError: the references do not match the fill, its tokens or the shape of the neurons.
    """
    check_choice("fill", fill, FILLS)
    if fill == "zero":
        if references is not None:
            raise ArgumentError(
                "`references` must be None for fill 'zero', got values; name their fill, such as 'mean'"
            )
        return None
    if references is None:
        raise ArgumentError(
            f"fill {fill!r} needs `references`, the values to write, got None; "
            f"gather them with nplight.references(model, batches, {fill!r})"
        )
    if isinstance(references, References):
        for argument, value, gathered in (("fill", fill, references.fill), ("tokens", tokens, references.tokens)):
            if value != gathered:
                raise ArgumentError(
                    f"`references` were gathered for {argument}={gathered!r}, got {argument}={value!r}; "
                    f"gather them with nplight.references(model, batches, {fill!r}, tokens={tokens!r})"
                )
        references = references.of()
    check_values(references, widths)
    return references


def check_values(values: Mapping[int, Tensor], widths: Sequence[int]) -> None:
    """Refuse values that are not (1 or images, 1 or tokens, width) for every layer.

    Raises:
        ArgumentError: naming the layers without values, or the first with a wrong shape.
    """
    if not isinstance(values, Mapping):
        raise ArgumentError(
            f"`references` must be those of nplight.references, or a mapping of layers to tensors, "
            f"got {described(values)}"
        )
    missing = [layer for layer in range(len(widths)) if layer not in values]
    if missing:
        raise ArgumentError(f"`references` must hold values for every layer, got none for layers {listed(missing)}")
    for layer, width in enumerate(widths):
        if not isinstance(values[layer], Tensor):
            raise ArgumentError(f"`references` of layer {layer} must be a tensor, got {described(values[layer])}")
        check_dense("references", values[layer])
        shape = tuple(values[layer].shape)
        if len(shape) != 3 or shape[-1] != width:
            raise ArgumentError(
                f"`references` of layer {layer} must be (1 or images, 1 or tokens, {width}), got {shape}"
            )
