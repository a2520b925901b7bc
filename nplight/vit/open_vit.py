"""`OpenViT`: the base class of the families of Vision Transformers, opened at their neurons."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from nplight.errors import ArgumentError, UnsupportedModelError, check_at_least, check_dense
from nplight.vit.feed_forward import FeedForward
from nplight.vit.interrupts import interrupt_point
from nplight.vit.module_checks import hooked
from nplight.vit.parts import BlockParts
from nplight.vit.projection import DownProjection
from nplight.vit.state import undisturbed


class OpenViT(ABC):
    """A ViT as `embed | block 0 … block L-1 | head`, with the sites of its feed-forward neurons.

    Running the pieces in order equals the model's forward. There is one subclass per family; `open_vit` chooses it.

    Attributes:
        model: the searched module, never changed: a ViT, or a wrapper with its ViT.
        down: the down projection of each block.
        path_tokens: the tokens at which neurons are read and edited.
        num_classes: categories of the head.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import nplight
        >>> import torch
        >>> vit = nplight.open_vit(planted.model)
        >>> stream = vit.embed(planted.images)
        >>> for layer in range(vit.depth):
        ...     stream = vit.block(layer, stream)
        ...
        >>> torch.allclose(vit.head(stream), planted.model(planted.images))
        True
    """

    supports: ClassVar[str]
    """The models of the family, for messages."""

    model: nn.Module
    down: tuple[DownProjection, ...]
    path_tokens: slice
    num_classes: int

    @classmethod
    @abstractmethod
    def matches(cls, model: nn.Module) -> bool:
        """Whether `model` belongs to this family, as a supported variant or not."""

    @classmethod
    def refuse(cls, model: nn.Module, reasons: Iterable[str]) -> None:
        """Refuse a model of the family, if there are reasons.

        Raises:
            UnsupportedModelError: with the class, the reasons and what is supported.
        """
        reasons = list(reasons)
        if reasons:
            raise UnsupportedModelError(
                f"`model` is a {type(model).__name__} that cannot be opened: {'; '.join(reasons)}. "
                f"Supported: {cls.supports}"
            )

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """Everything before the first block: (images, channels, height, width) -> (images, tokens, features)."""

    @abstractmethod
    def block(self, layer: int, stream: Tensor) -> Tensor:
        """One block: (images, tokens, features) -> the same shape."""

    @abstractmethod
    def head(self, stream: Tensor) -> Tensor:
        """Everything after the last block: (images, tokens, features) -> logits (images, categories)."""

    @abstractmethod
    def image_shape(self) -> tuple[int | None, int | None, int | None]:
        """Channels, height and width that the model takes; `None` for any."""

    def image_multiple(self) -> tuple[int, int]:
        """The numbers of which the height and the width must be multiples, where `image_shape` leaves them open."""
        return (1, 1)

    @property
    def has_all_path_tokens(self) -> bool:
        """Whether every token is a path token."""
        return self.path_tokens.start in (None, 0) and self.path_tokens.stop is None

    def with_all_tokens(self) -> OpenViT:
        """The same model with every token as a path token; itself, where they all are."""
        if self.has_all_path_tokens:
            return self
        opened = copy(self)
        opened.path_tokens = slice(None)
        return opened

    @property
    def transformer(self) -> nn.Module:
        """The Vision Transformer, without a wrapper around it."""
        return self.model

    @property
    def searched(self) -> nn.Module:
        """The module whose weights determine the results: the ViT, or a wrapper that computes something around it."""
        return self.model

    def entering(self, images: Tensor) -> Tensor:
        """The images (images, channels, height, width) as they enter the ViT, after the wrapper's preprocessing."""
        return images

    def output(self, logits: Tensor) -> Any:
        """The return value of the ViT's forward for logits (images, categories)."""
        return logits

    def head_width(self) -> int:
        """The number of logits, or features, that `head` returns."""
        weight = self.down[0].linear.weight
        tokens = (self.path_tokens.start or 0) + 2
        with undisturbed(self.model), torch.no_grad():
            return self.head(weight.new_zeros(1, tokens, weight.shape[0])).shape[1]

    def blocks(self) -> Sequence[nn.Module]:
        """The modules of the blocks, in order."""
        return ()

    def after_blocks(self) -> Sequence[nn.Module]:
        """The modules that `head` runs, if it reads only the path tokens; none otherwise."""
        return ()

    def parts(self, layer: int) -> BlockParts | None:
        """A block in parts, which equal `block` in evaluation mode and have JVP and VJP.

        `None` if the block holds something that parts do not cover, or has user hooks: then only `block` equals the
        model.
        """
        blocks = self.blocks()
        return None if not blocks or hooked(blocks[layer]) else self._parts(layer)

    def feed_forward(self, layer: int) -> FeedForward | None:
        """The modules of the FFN of a block, by which it can be made smaller; `None` if they are not known."""
        return None

    def merging_site(self) -> tuple[nn.Module, int] | None:
        """The module whose output enters block 0, and how many leading tokens are not patches.

        `None` if the logits depend on the number or the positions of the patch tokens.
        """
        return None

    def record_widths(self) -> None:
        """Write the widths of the layers into the model's own configuration, if it has one that can hold them."""
        return

    def head_takes_path_tokens(self) -> bool:
        """Whether `head` returns the same logits for a stream of the path tokens only."""
        modules = self.after_blocks()
        return bool(modules) and not hooked(*modules)

    def _parts(self, layer: int) -> BlockParts | None:
        """The parts of a block without hooks; overridden by families that know them."""
        return None

    @property
    def depth(self) -> int:
        """Number of blocks, L."""
        return len(self.down)

    @property
    def widths(self) -> tuple[int, ...]:
        """Neurons in each layer."""
        return tuple(down.width for down in self.down)

    def forward(self, images: Tensor) -> Tensor:
        """The whole model, piece by piece: images -> logits (images, categories)."""
        return self.forward_from(0, self.embed(images))

    def forward_from(self, layer: int, stream: Tensor) -> Tensor:
        """Blocks `layer` … L-1 and the head: the stream that enters block `layer` -> logits."""
        for index in range(layer, self.depth):
            interrupt_point()
            stream = self.block(index, stream)
        return self.head(stream)

    def check_images(self, images: Tensor) -> None:
        """Refuse images whose shape, dtype or device differs from the model's.

        Raises:
            ArgumentError: naming the rule that is broken.
        """
        if not isinstance(images, Tensor) or not images.is_floating_point():
            kind = images.dtype if isinstance(images, Tensor) else type(images).__name__
            raise ArgumentError(f"`images` must be a floating-point tensor of normalised images, got {kind}")
        check_dense("images", images)
        shape = self.image_shape()
        fits = images.ndim == 4 and all(size in (None, given) for size, given in zip(shape, images.shape[1:]))
        if not fits or len(images) == 0:
            sizes = ", ".join("any" if size is None else str(size) for size in shape)
            raise ArgumentError(
                f"`images` must have shape (images, {sizes}) with at least one image, got {tuple(images.shape)}"
            )
        multiple = self.image_multiple()
        open_sizes = [
            (given, factor) for size, given, factor in zip(shape[1:], images.shape[2:], multiple) if size is None
        ]
        if any(given < 1 or given % factor for given, factor in open_sizes):
            raise ArgumentError(
                f"`images` must have a height and a width that are multiples of the model's patches, {multiple}, "
                f"got {tuple(images.shape[2:])}; resize or crop them"
            )
        weight = self.down[0].linear.weight
        if images.device != weight.device:
            raise ArgumentError(
                f"`images` must be on the model's device {weight.device}, got {images.device}; move them with .to()"
            )
        if images.dtype != weight.dtype and not torch.is_autocast_enabled(images.device.type):
            raise ArgumentError(
                f"`images` must have the model's dtype {weight.dtype}, got {images.dtype}; "
                f"convert one of them, or run under torch.autocast"
            )

    def check_targets(self, targets: Tensor, images: int, argument: str = "targets") -> None:
        """Refuse targets that are not one category for each of `images` images.

        Raises:
            ArgumentError: naming the rule that is broken.
        """
        if isinstance(targets, Tensor):
            check_dense(argument, targets)
        if not isinstance(targets, Tensor) or targets.dtype != torch.int64 or targets.shape != (images,):
            got = f"{targets.dtype} {tuple(targets.shape)}" if isinstance(targets, Tensor) else type(targets).__name__
            raise ArgumentError(f"`{argument}` must be an int64 tensor of shape ({images},), got {got}")
        outside = ((targets < 0) | (targets >= self.num_classes)).nonzero().flatten().tolist()
        if outside:
            raise ArgumentError(
                f"`{argument}` must be categories in 0 … {self.num_classes - 1}, "
                f"got {targets[outside[0]].item()} for image {outside[0]}"
            )

    def check_top_k(self, top_k: int, argument: str = "top_k") -> None:
        """Refuse a number of neurons per layer that exceeds the width of a layer.

        Raises:
            ArgumentError: naming the rule that is broken.
        """
        check_at_least(argument, top_k, 1)
        narrowest = min(self.widths)
        if top_k > narrowest:
            raise ArgumentError(f"`{argument}` must be at most {narrowest}, the narrowest layer's width, got {top_k}")
