"""timm's `VisionTransformer`, whatever tokens it classifies from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, cast

from timm.models.vision_transformer import Block, LayerScale, VisionTransformer
from torch import Tensor, nn

from nplight.errors import UnsupportedModelError
from nplight.vit.open_vit import OpenViT
from nplight.vit.projection import DownProjection

# The methods that `TimmViT` replays piece by piece, or that say which tokens the head reads: a subclass with its own
# would give other numbers.
_REPLAYED = ("forward", "forward_features", "forward_head", "pool")


class TimmViT(OpenViT):
    """ViT, DeiT, DINOv2, CLIP, MAE and SigLIP models as timm builds them of its plain `Block`.

    Path tokens: the class token (`global_pool='token'`); every token that is averaged (`'avg'`) or that the attention
    pool reads (`'map'`), which leaves out class and register tokens unless the model pools them too.
    """

    own_class: ClassVar[type[VisionTransformer]] = VisionTransformer
    supports = "timm VisionTransformer of plain blocks, global_pool 'token', 'avg' or 'map'"

    def __init__(self, model: VisionTransformer) -> None:
        reasons = list(refusals(model, type(self).own_class))
        if reasons:
            raise UnsupportedModelError(
                f"`model` is a {type(model).__name__} that cannot be opened: {'; '.join(reasons)}. "
                f"Supported: {self.supports}"
            )
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

    def image_shape(self) -> tuple[int, int | None, int | None]:
        patch_embed = self.model.patch_embed
        channels = cast(nn.Conv2d, patch_embed.proj).in_channels
        if self.model.dynamic_img_size or patch_embed.img_size is None:
            return (channels, None, None)
        height, width = patch_embed.img_size
        return (channels, height, width)


def refusals(model: VisionTransformer, known: type[VisionTransformer]) -> Iterator[str]:
    """Why a model cannot be opened as one of class `known`, if it cannot."""
    overridden = [name for name in _REPLAYED if getattr(type(model), name) is not getattr(known, name)]
    if overridden:
        yield f"its class overrides {', '.join(overridden)}"
    if model.global_pool not in ("token", "avg", "map"):
        yield f"its head pools tokens by {model.global_pool!r}"
    if model.global_pool == "token" and model.cls_token is None:
        yield "it has no class token to classify from"
    if categories(model) < 2:
        yield f"its head tells {categories(model)} categories apart, at least 2 are needed"
    for layer, block in enumerate(model.blocks):
        if type(block) is not Block:
            yield f"block {layer} is a {type(block).__name__}"
        elif not isinstance(getattr(block.mlp, "fc2", None), nn.Linear):
            yield f"the FFN of block {layer}, a {type(block.mlp).__name__}, has no linear down projection `fc2`"
        elif not isinstance(block.ls2, (nn.Identity, LayerScale)):
            yield f"the FFN of block {layer} is followed by a {type(block.ls2).__name__}"
        else:
            continue
        break  # the other blocks are alike


def categories(model: VisionTransformer) -> int:
    """How many categories the head tells apart; a head that was replaced by hand leaves `num_classes` behind."""
    return model.head.out_features if isinstance(model.head, nn.Linear) else model.num_classes


def _down(block: Block) -> DownProjection:
    scale = block.ls2.gamma if isinstance(block.ls2, LayerScale) else None
    return DownProjection(cast(nn.Linear, block.mlp.fc2), scale)
