"""timm's `VisionTransformer`, with any pooling of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, cast

from timm.models.vision_transformer import Block, LayerScale, VisionTransformer
from torch import Tensor, nn

from nplight.vit.feed_forward import FeedForward
from nplight.vit.module_checks import token_wise
from nplight.vit.open_vit import OpenViT
from nplight.vit.parts import BlockParts
from nplight.vit.projection import DownProjection
from nplight.vit.refusals import categories, other_blocks, overridden
from nplight.vit.timm_parts import block_parts, mlp_modules, patch_multiple

# The methods that `TimmViT` replays piece by piece, or that select the tokens of the head: a subclass that overrides
# one computes other logits.
_REPLAYED = ("forward", "forward_features", "forward_head", "pool")


class TimmViT(OpenViT):
    """ViT, DeiT, DINOv2, CLIP, MAE and SigLIP models that timm builds from its plain `Block`.

    Path tokens: the class token (`global_pool='token'`); every token that is averaged (`'avg'`) or read by the
    attention pool (`'map'`), without class and register tokens unless the model pools them too.
    """

    replayed_class: ClassVar[type[VisionTransformer]] = VisionTransformer
    supports = "timm VisionTransformer of plain blocks, global_pool 'token', 'avg' or 'map'"

    def __init__(self, model: VisionTransformer) -> None:
        self.refuse(model, refusals(model, type(self).replayed_class))
        self.model: VisionTransformer = model
        self.down = tuple(_down(cast(Block, block)) for block in model.blocks)
        self.path_tokens = self._path_tokens(model)
        self.num_classes = categories(model)

    @classmethod
    def matches(cls, model: nn.Module) -> bool:
        return isinstance(model, VisionTransformer)

    def _path_tokens(self, model: VisionTransformer) -> slice:
        if model.global_pool == "token":
            return slice(0, 1)
        return slice(0 if getattr(model, "pool_include_prefix", False) else model.num_prefix_tokens, None)

    def embed(self, images: Tensor) -> Tensor:
        stream = self.model.patch_drop(self.model._pos_embed(self.model.patch_embed(images)))
        return cast(Tensor, self.model.norm_pre(stream))

    def block(self, layer: int, stream: Tensor) -> Tensor:
        return cast(Tensor, self.model.blocks[layer](stream))

    def head(self, stream: Tensor) -> Tensor:
        return self.model.forward_head(self.model.norm(stream))

    def blocks(self) -> Sequence[nn.Module]:
        return list(self.model.blocks)

    def after_blocks(self) -> Sequence[nn.Module]:
        # Pooling of the class token, and of the distilled pair, reads the first tokens of the stream.
        if self.path_tokens.start != 0 or self.model.global_pool != "token" or not token_wise(self.model.norm):
            return ()
        heads = (getattr(self.model, name, None) for name in ("norm", "fc_norm", "head_drop", "head", "head_dist"))
        return [module for module in heads if module is not None]

    def _parts(self, layer: int) -> BlockParts | None:
        return block_parts(self.model.blocks[layer], self.down[layer])

    def feed_forward(self, layer: int) -> FeedForward | None:
        return mlp_modules(cast(Block, self.model.blocks[layer]).mlp)

    def merging_site(self) -> tuple[nn.Module, int] | None:
        if self.model.global_pool != "token":
            return None
        return self.model.norm_pre, self.model.num_prefix_tokens

    def image_shape(self) -> tuple[int, int | None, int | None]:
        patch_embed = self.model.patch_embed
        channels = cast(nn.Conv2d, patch_embed.proj).in_channels
        if self.model.dynamic_img_size or patch_embed.img_size is None:
            return (channels, None, None)
        height, width = patch_embed.img_size
        return (channels, height, width)

    def image_multiple(self) -> tuple[int, int]:
        return patch_multiple(self.model.patch_embed)


def refusals(model: VisionTransformer, known: type[VisionTransformer]) -> Iterator[str]:
    """The reasons why a model cannot be opened as one of class `known`."""
    yield from overridden(model, known, _REPLAYED)
    if model.global_pool not in ("token", "avg", "map"):
        yield f"its head pools tokens by {model.global_pool!r}"
    if model.global_pool == "token" and model.cls_token is None:
        yield "it has no class token to classify from"
    yield from other_blocks(model.blocks, Block)
    for layer, block in enumerate(model.blocks):
        if not isinstance(getattr(block, "ls2", nn.Identity()), (nn.Identity, LayerScale)):
            yield f"the FFN of block {layer} is followed by a {type(block.ls2).__name__}"
            return


def _down(block: Block) -> DownProjection:
    scale = block.ls2.gamma if isinstance(block.ls2, LayerScale) else None
    return DownProjection(cast(nn.Linear, block.mlp.fc2), scale)
