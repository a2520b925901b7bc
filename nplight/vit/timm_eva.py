"""timm's `Eva`: EVA, EVA-02, DINOv3 and the ViTs with rotary position embedding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from timm.models.eva import Eva, EvaBlock
from torch import Tensor, nn

from nplight.vit.feed_forward import FeedForward
from nplight.vit.module_checks import token_wise
from nplight.vit.open_vit import OpenViT
from nplight.vit.parts import BlockParts
from nplight.vit.projection import DownProjection
from nplight.vit.refusals import categories, other_blocks, overridden
from nplight.vit.timm_parts import block_parts, mlp_modules, patch_multiple

# The methods that `TimmEva` replays piece by piece: a subclass that overrides one computes other logits.
_REPLAYED = ("forward", "forward_features", "forward_head", "_pos_embed", "pool")


class TimmEva(OpenViT):
    """EVA, EVA-02 and DINOv3 of timm.

    Path tokens: the class token if the head reads it (global_pool='token'), every patch token if the head reads their
    mean (global_pool='avg'). All kinds of rotary embedding, also the one that differs between blocks.

    A model with a rotary embedding takes only images of its own size, also with dynamic_img_size: the embedding depends
    on the grid of patches, which is not known from a stream of tokens. `set_input_size` changes the size.
    """

    supports = "timm Eva that classifies from its class token or the mean of its patches (timm's EvaBlock)"

    def __init__(self, model: Eva) -> None:
        self.refuse(model, _refusals(model))
        self.model: Eva = model
        self.down = tuple(_down(cast(EvaBlock, block)) for block in model.blocks)
        self.path_tokens = slice(0, 1) if model.global_pool == "token" else slice(model.num_prefix_tokens, None)
        self.num_classes = categories(model)

    @classmethod
    def matches(cls, model: nn.Module) -> bool:
        """Whether `model` is timm's `Eva` or derives from it."""
        return isinstance(model, Eva)

    def embed(self, images: Tensor) -> Tensor:
        """Patches, prefix tokens and the absolute position; the rotary embedding enters in each block.

        Raises:
            ArgumentError: images of another size, for which the rotary embedding would be wrong.
        """
        if self.model.rope is not None and self.model.dynamic_img_size:
            self.check_images(images)
        stream, _ = self.model._pos_embed(self.model.patch_embed(images))
        norm_pre = getattr(self.model, "norm_pre", None)  # early versions of timm have none
        return cast(Tensor, stream if norm_pre is None else norm_pre(stream))

    def block(self, layer: int, stream: Tensor) -> Tensor:
        """One `EvaBlock` with its rotary embedding."""
        return cast(Tensor, self.model.blocks[layer](stream, rope=self._rope(layer)))

    def head(self, stream: Tensor) -> Tensor:
        """Norm, pooling and classifier."""
        return self.model.forward_head(self.model.norm(stream))

    def blocks(self) -> Sequence[nn.Module]:
        """The `EvaBlock`s."""
        return list(self.model.blocks)

    def after_blocks(self) -> Sequence[nn.Module]:
        """Norm and classifier of the class token."""
        if self.model.global_pool != "token" or not token_wise(self.model.norm):
            return ()
        return [self.model.norm, self.model.fc_norm, self.model.head_drop, self.model.head]

    def _parts(self, layer: int) -> BlockParts | None:
        return block_parts(self.model.blocks[layer], self.down[layer], self._rope(layer))

    def feed_forward(self, layer: int) -> FeedForward | None:
        """The layers and the norm of its `Mlp`, `GluMlp` or `SwiGLU`."""
        return mlp_modules(cast(EvaBlock, self.model.blocks[layer]).mlp)

    def image_shape(self) -> tuple[int, int | None, int | None]:
        """Any size for a model with dynamic_img_size and without rotary embedding."""
        patch_embed = self.model.patch_embed
        channels = patch_embed.proj.in_channels
        if self.model.rope is None and self.model.dynamic_img_size:
            return (channels, None, None)
        height, width = cast("tuple[int, int]", patch_embed.img_size)
        return (channels, height, width)

    def image_multiple(self) -> tuple[int, int]:
        return patch_multiple(self.model.patch_embed)

    def _rope(self, layer: int) -> Tensor | None:
        """The rotary embedding of one block for the model's grid, by the same calls as in the model's forward.

        Not cached: the mixed kind depends on weights, and the model's size may change.
        """
        rope: Any = self.model.rope
        if rope is None:
            return None
        if self.model.dynamic_img_size or not hasattr(rope, "feat_shape"):
            patch_embed = self.model.patch_embed
            size = cast("tuple[int, int]", patch_embed.img_size)
            embedding = rope.get_embed(shape=patch_embed.dynamic_feat_size(size))
        else:
            embedding = rope.get_embed()
        return cast(Tensor, embedding[layer] if getattr(self.model, "rope_mixed", False) else embedding)


def _refusals(model: Eva) -> Iterator[str]:
    yield from overridden(model, Eva, _REPLAYED)
    if getattr(model, "attn_pool", None) is not None:
        yield "it classifies from an attention pooling"
    elif model.global_pool not in ("token", "avg"):
        yield f"it classifies neither from its class token nor from the mean (global_pool={model.global_pool!r})"
    yield from other_blocks(model.blocks, EvaBlock)


def _down(block: EvaBlock) -> DownProjection:
    # The input of `fc2` has passed the gate, and the norm of some variants.
    return DownProjection(block.mlp.fc2, block.gamma_2)
