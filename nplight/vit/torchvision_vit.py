"""torchvision's `VisionTransformer`: vit_b_16 … vit_h_14."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchvision.models.vision_transformer import Encoder, EncoderBlock, MLPBlock, VisionTransformer

from nplight.vit.feed_forward import FeedForward
from nplight.vit.module_checks import element_wise, identity, only, token_wise
from nplight.vit.one_thread import changed, one_thread
from nplight.vit.open_vit import OpenViT
from nplight.vit.parts import Affine, AttentionParts, BlockParts, Projections
from nplight.vit.projection import DownProjection
from nplight.vit.refusals import is_linear, merge_first


class TorchvisionViT(OpenViT):
    """ViT of torchvision; path token: the class token.

    The head may be replaced by one that ends with a linear layer. One image size: that of the model.
    """

    supports = "torchvision VisionTransformer (its own Encoder and EncoderBlock)"

    def __init__(self, model: VisionTransformer) -> None:
        self.refuse(model, _refusals(model))
        self.model = model
        # torchvision has no type annotations.
        self._vit: Any = model
        self.down = tuple(DownProjection(block.mlp[3]) for block in self._vit.encoder.layers)
        self.path_tokens = slice(0, 1)
        self.num_classes = _categories(model)

    @classmethod
    def matches(cls, model: nn.Module) -> bool:
        """Whether `model` is torchvision's `VisionTransformer` or derives from it."""
        return isinstance(model, VisionTransformer)

    def embed(self, images: Tensor) -> Tensor:
        """Patches, class token and position."""
        patches = self._vit._process_input(images)
        stream = torch.cat([self._vit.class_token.expand(len(images), -1, -1), patches], dim=1)
        return cast(Tensor, self._vit.encoder.dropout(stream + self._vit.encoder.pos_embedding))

    def block(self, layer: int, stream: Tensor) -> Tensor:
        """One `EncoderBlock`, by operations that have JVP and VJP."""
        with _plain_attention():
            return cast(Tensor, self._vit.encoder.layers[layer](stream))

    def head(self, stream: Tensor) -> Tensor:
        """Norm and classifier of the class token."""
        return cast(Tensor, self._vit.heads(self._vit.encoder.ln(stream)[:, 0]))

    def blocks(self) -> Sequence[nn.Module]:
        """The `EncoderBlock`s."""
        return list(self._vit.encoder.layers)

    def after_blocks(self) -> Sequence[nn.Module]:
        """Norm and classifier of the class token."""
        return [self._vit.encoder.ln, self._vit.heads] if token_wise(self._vit.encoder.ln) else ()

    def _parts(self, layer: int) -> BlockParts | None:
        block, down = self._vit.encoder.layers[layer], self.down[layer]
        attention, up = _attention(block.self_attention), _up(block.mlp)
        all_known = only(block, ("ln_1", "self_attention", "dropout", "ln_2", "mlp")) and identity(block.dropout)
        if attention is None or up is None or not all_known or not token_wise(block.ln_1, block.ln_2):
            return None
        return BlockParts(block.ln_1, attention, block.ln_2, up, down)

    def feed_forward(self, layer: int) -> FeedForward | None:
        """The two linear layers of its `MLPBlock`."""
        mlp = self._vit.encoder.layers[layer].mlp
        return FeedForward((mlp[0],), mlp[3]) if _plain_mlp(mlp) else None

    def merging_site(self) -> tuple[nn.Module, int]:
        """The dropout after the position embedding; one class token."""
        return self._vit.encoder.dropout, 1

    def image_shape(self) -> tuple[int, int | None, int | None]:
        """Three channels and the square size of the model."""
        return (3, self._vit.image_size, self._vit.image_size)


def _attention(attention: nn.MultiheadAttention) -> AttentionParts | None:
    plain = type(attention) is nn.MultiheadAttention and only(attention, ("out_proj",))
    weight = attention.in_proj_weight if plain else None
    if weight is None or attention.bias_k is not None or attention.add_zero_attn or not is_linear(attention.out_proj):
        return None
    projections = Projections.of_packed(weight, attention.in_proj_bias)
    return AttentionParts(projections, attention.head_dim, Affine.of(attention.out_proj))


def _up(mlp: MLPBlock) -> Callable[[Tensor], Tensor] | None:
    if not _plain_mlp(mlp) or not element_wise(mlp[1]):
        return None
    first = Affine.of(cast(nn.Linear, mlp[0]))
    return lambda normed: cast(Tensor, mlp[1](first(normed)))


def _plain_mlp(mlp: MLPBlock) -> bool:
    plain = type(mlp) is MLPBlock and len(mlp) == 5 and "forward" not in vars(mlp)
    return plain and is_linear(mlp[0]) and identity(mlp[2], mlp[4])


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Disable the fused attention of inference, which has no JVP; the setting is restored."""
    # The setting is global.
    with one_thread():
        enabled = torch.backends.mha.get_fastpath_enabled()
        with changed(lambda: torch.backends.mha.set_fastpath_enabled(enabled)):
            torch.backends.mha.set_fastpath_enabled(False)
            yield


def _refusals(model: VisionTransformer) -> Iterator[str]:
    replayed = ("forward", "_process_input")
    overridden = [name for name in replayed if getattr(type(model), name) is not getattr(VisionTransformer, name)]
    if overridden:
        yield f"its class overrides {', '.join(overridden)}"
    if type(model.encoder) is not Encoder:
        yield f"its encoder is a {type(model.encoder).__name__}"
        return
    for layer, block in enumerate(model.encoder.layers):
        if type(block) is not EncoderBlock:
            yield f"block {layer} is a {type(block).__name__}"
        elif not isinstance(block.mlp, MLPBlock) or not is_linear(block.mlp[3]):
            kind, down = type(block.mlp).__name__, block.mlp[3] if isinstance(block.mlp, MLPBlock) else None
            yield f"the FFN of block {layer}, a {kind}, has no linear down projection `mlp[3]`{merge_first(down)}"
        else:
            continue
        break  # the first refused block stands for all


def _categories(model: VisionTransformer) -> int:
    """The number of categories of the head's last layer; 0 if that is not linear."""
    # `num_classes` is not updated if the head is replaced.
    last = list(model.heads.modules())[-1]
    return last.out_features if isinstance(last, nn.Linear) else 0
