"""A Vision Transformer opened at its neurons, whatever its family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from nplight.errors import ArgumentError, UnsupportedModelError, check_at_least, check_dense
from nplight.vit.interrupts import interrupt_point
from nplight.vit.module_checks import hooked
from nplight.vit.parts import BlockParts
from nplight.vit.projection import DownProjection
from nplight.vit.state import undisturbed


class OpenViT(ABC):
    """A ViT as `embed | block 0 … block L-1 | head`, with the sites of its feed-forward neurons.

    Running the pieces in order equals the model's own forward. One subclass a family; `open_vit` picks it.

    Attributes:
        model: the module that is searched, never changed: a ViT, or a wrapper with its ViT.
        down: the down projection of each block.
        path_tokens: the tokens at which neurons are read and edited.
        num_classes: categories the head tells apart.
    """

    supports: ClassVar[str]
    """What the family covers, for people."""

    model: nn.Module
    down: tuple[DownProjection, ...]
    path_tokens: slice
    num_classes: int

    @classmethod
    @abstractmethod
    def matches(cls, model: nn.Module) -> bool:
        """Whether `model` is of this family, supported variant or not."""

    @classmethod
    def refuse(cls, model: nn.Module, reasons: Iterable[str]) -> None:
        """Refuse a model of the family for some reasons; none is no refusal.

        Raises:
            UnsupportedModelError: with the class, the reasons and what is supported.
        """
        if found := list(reasons):
            raise UnsupportedModelError(
                f"`model` is a {type(model).__name__} that cannot be opened: {'; '.join(found)}. "
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
        """Channels, height and width that the model takes; `None` where any will do."""

    def image_multiple(self) -> tuple[int, int]:
        """What the height and the width of an image must be multiples of, where `image_shape` leaves them open."""
        return (1, 1)

    @property
    def transformer(self) -> nn.Module:
        """The Vision Transformer itself, without what a wrapper does around it."""
        return self.model

    @property
    def searched(self) -> nn.Module:
        """The module whose weights decide the results: the ViT, or a wrapper that does something around it."""
        return self.model

    def entering(self, images: Tensor) -> Tensor:
        """The images (images, channels, height, width) as they enter the ViT: a wrapper may prepare them."""
        return images

    def output(self, logits: Tensor) -> Any:
        """What the ViT's own forward returns for logits (images, categories)."""
        return logits

    def head_width(self) -> int:
        """How many logits, or features, `head` gives."""
        weight = self.down[0].linear.weight
        tokens = (self.path_tokens.start or 0) + 2
        with undisturbed(self.model), torch.no_grad():
            return self.head(weight.new_zeros(1, tokens, weight.shape[0])).shape[1]

    def blocks(self) -> Sequence[nn.Module]:
        """The modules of the blocks, in order."""
        return ()

    def after_blocks(self) -> Sequence[nn.Module]:
        """The modules that `head` runs, where it reads the path tokens and nothing else; none otherwise."""
        return ()

    def parts(self, layer: int) -> BlockParts | None:
        """A block in parts, which in evaluation mode give what `block` gives and have both derivatives.

        `None` where the block holds something they do not cover, or where somebody's hook waits for one of its modules
        to be called: then only `block` does what the model does.
        """
        blocks = self.blocks()
        return None if not blocks or hooked(blocks[layer]) else self._parts(layer)

    def head_takes_path_tokens(self) -> bool:
        """Whether `head` gives the same logits for a stream that holds the path tokens alone."""
        modules = self.after_blocks()
        return bool(modules) and not hooked(*modules)

    def _parts(self, layer: int) -> BlockParts | None:
        """The parts of a block without hooks; families that know them override this."""
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
        """The whole model by its pieces: images -> logits (images, categories)."""
        return self.forward_from(0, self.embed(images))

    def forward_from(self, layer: int, stream: Tensor) -> Tensor:
        """Blocks `layer` … L-1 and the head: the stream that enters block `layer` -> logits."""
        for index in range(layer, self.depth):
            interrupt_point()
            stream = self.block(index, stream)
        return self.head(stream)

    def check_images(self, images: Tensor) -> None:
        """Refuse images of another shape, dtype or device than the model's.

        Raises:
            ArgumentError: naming the rule that is broken.
        """
        if not isinstance(images, Tensor) or not images.is_floating_point():
            kind = images.dtype if isinstance(images, Tensor) else type(images).__name__
            raise ArgumentError(f"`images` must be a floating-point tensor of normalised images, got {kind}")
        check_dense("images", images)
        wanted = self.image_shape()
        fits = images.ndim == 4 and all(w in (None, g) for w, g in zip(wanted, images.shape[1:]))
        if not fits or len(images) == 0:
            sizes = ", ".join("any" if size is None else str(size) for size in wanted)
            raise ArgumentError(
                f"`images` must have shape (images, {sizes}) with at least one image, got {tuple(images.shape)}"
            )
        multiple = self.image_multiple()
        open_sizes = [
            (size, whole) for want, size, whole in zip(wanted[1:], images.shape[2:], multiple) if want is None
        ]
        if any(size < 1 or size % whole for size, whole in open_sizes):
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
        """Refuse a number of neurons a layer that some layer does not have.

        Raises:
            ArgumentError: naming the rule that is broken.
        """
        check_at_least(argument, top_k, 1)
        narrowest = min(self.widths)
        if top_k > narrowest:
            raise ArgumentError(f"`{argument}` must be at most {narrowest}, the narrowest layer's width, got {top_k}")
