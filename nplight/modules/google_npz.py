"""Google's published ViT weights (`ViT-B_16-224.npz` and its siblings)."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn

from nplight.errors import CheckpointError
from nplight.modules.mismatch import check_fits

_POSITION = "Transformer/posembed_input/pos_embedding"


def load_google_npz(model: nn.Module, path: Path) -> None:
    """Load a `.npz` of Google's key layout into a timm model, all weights or none; position embeddings are resized.

    timm does the loading. Alone it would leave a head of other categories at random, resample patches of another size
    and stop halfway at a width of another, all without an error: names and shapes are compared first.

    Args:
        model: a timm `VisionTransformer` with a class token.
        path: the file.

    Raises:
        CheckpointError: the file is damaged, or not of the model's architecture; every missing, unexpected and
            differently shaped array is named.
    """
    if not isinstance(model, VisionTransformer) or model.cls_token is None:
        raise CheckpointError(
            f"`checkpoint` {path} is of Google's layout, which fits timm VisionTransformers with a class token, "
            f"not a {type(model).__name__}"
        )
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name].shape for name in arrays.files}
    except Exception as error:  # damaged files fail in a dozen ways
        raise CheckpointError(f"`checkpoint` {path} cannot be read as arrays (it may be cut off): {error}") from error
    check_fits(path, found, _layout(model), resized=(_POSITION,))
    model.load_pretrained(str(path))


def _layout(model: VisionTransformer) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the arrays that hold the weights of `model` in Google's layout."""
    projection = cast(nn.Conv2d, model.patch_embed.proj)
    width, channels, height, length = projection.weight.shape
    layout: dict[str, tuple[int, ...]] = {
        "embedding/kernel": (height, length, channels, width),
        "embedding/bias": (width,),
        "cls": (1, 1, width),
        _POSITION: tuple(cast(nn.Parameter, model.pos_embed).shape),
        "Transformer/encoder_norm/scale": (width,),
        "Transformer/encoder_norm/bias": (width,),
        "head/kernel": (width, model.num_classes),
        "head/bias": (model.num_classes,),
    }
    for number, block in enumerate(cast("list[Block]", list(model.blocks))):
        heads = cast(int, block.attn.num_heads)
        hidden = cast(nn.Linear, block.mlp.fc1).out_features
        attention = "MultiHeadDotProductAttention_1"
        parts: dict[str, tuple[int, ...]] = {
            "MlpBlock_3/Dense_0/kernel": (width, hidden),
            "MlpBlock_3/Dense_0/bias": (hidden,),
            "MlpBlock_3/Dense_1/kernel": (hidden, width),
            "MlpBlock_3/Dense_1/bias": (width,),
            f"{attention}/out/kernel": (heads, width // heads, width),
            f"{attention}/out/bias": (width,),
        }
        for norm in ("LayerNorm_0", "LayerNorm_2"):
            parts |= {f"{norm}/scale": (width,), f"{norm}/bias": (width,)}
        for name in ("query", "key", "value"):
            parts |= {
                f"{attention}/{name}/kernel": (width, heads, width // heads),
                f"{attention}/{name}/bias": (heads, width // heads),
            }
        layout |= {f"Transformer/encoderblock_{number}/{name}": shape for name, shape in parts.items()}
    return layout
