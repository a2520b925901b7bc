"""Google's published ViT weights (`ViT-B_16-224.npz` and others)."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.lib import format as npy
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from nplight.errors import CheckpointError, listed
from nplight.modules.weight_checks import check_fits, check_values, short

_POSITION = "Transformer/posembed_input/pos_embedding"
_EMBEDDING = ("cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias")
_HEAD = 1 << 16  # bytes; the header of an array takes about a hundred
_MOST_POSITIONS = 1 << 16  # as for 4,096 x 4,096 pixels in patches of 16
Result = TypeVar("Result")


def load_google_npz(model: nn.Module, path: Path) -> None:
    """Load a `.npz` of Google's layout into a timm model, all weights or none; position embeddings are resized.

    timm loads the weights. Without an error it would leave a head of other categories random, resample patches of
    another size, and stop halfway for another width, so names and shapes are compared first.

    Args:
        model: a timm `VisionTransformer` with a class token.
        path: of the file.

    Raises:
        CheckpointError: the file is damaged, holds NaN, or is not of the model's architecture; missing, unexpected and
            differently shaped arrays are named.
    """
    if not isinstance(model, VisionTransformer) or model.cls_token is None:
        raise CheckpointError(
            f"`checkpoint` {path} is of Google's layout, which fits timm VisionTransformers with a class token, "
            f"not a {type(model).__name__}"
        )
    if other := sorted(set(model.state_dict()) ^ _loaded(model)):
        raise CheckpointError(
            f"`checkpoint` {path} is of Google's layout, which fits plain ViTs, but the model and it do not both have: "
            f"{listed(other, 5)}; build the model without its additional weights"
        )
    shapes = _read(path, npz_shapes)
    check_fits(path, shapes, _layout(model), resized=(_POSITION,))
    _check_positions(path, shapes[_POSITION], model)
    # Arrays are unpacked only now, when none is larger than the model's.
    check_values(f"`checkpoint` {path}", _read(path, _arrays))
    model.load_pretrained(str(path))


def npz_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name and shape of each array of a `.npz`, from the headers of its arrays, without unpacking them.

    Raises:
        ValueError: not an archive of arrays of real numbers.
    """
    shapes = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            with archive.open(member) as file:
                head = io.BytesIO(file.read(_HEAD))
            version = npy.read_magic(head)
            read_head = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read_head(head)
            if dtype not in (np.float16, np.float32, np.float64):
                raise ValueError(f"{short(member)} holds {short(str(dtype))} and not real numbers")
            shapes[member.removesuffix(".npy")] = shape
    return shapes


def _check_positions(path: Path, shape: tuple[int, ...], model: VisionTransformer) -> None:
    """Refuse position embeddings that cannot be resized to the model's: of another width, not square, or too many."""
    expected = tuple(cast(nn.Parameter, model.pos_embed).shape)
    positions = shape[1] if len(shape) == 3 else 0
    patches = positions - (0 if model.no_embed_class else model.num_prefix_tokens)
    square = 0 < patches <= _MOST_POSITIONS and math.isqrt(patches) ** 2 == patches
    if shape != expected and (not square or shape != (1, positions, expected[2])):
        raise CheckpointError(
            f"`checkpoint` {path} does not fit the model: {_POSITION} must have shape (1, positions, {expected[2]}), "
            f"the patches a square of at most {_MOST_POSITIONS:,}, got {shape}"
        )


def _arrays(path: Path) -> dict[str, Tensor]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def _read(path: Path, read: Callable[[Path], Result]) -> Result:
    try:
        return read(path)
    except Exception as error:  # damaged files raise many kinds of errors
        reason = short(str(error) or type(error).__name__)
        raise CheckpointError(f"`checkpoint` {path} cannot be read as arrays (it may be cut off): {reason}") from error


def _loaded(model: VisionTransformer) -> set[str]:
    """The names of the weights that timm loads from such a file."""
    names = [*_EMBEDDING, "norm.weight", "norm.bias", "head.weight", "head.bias"]
    parts = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    for number in range(len(model.blocks)):
        names += [f"blocks.{number}.{part}.{name}" for part in parts for name in ("weight", "bias")]
    return set(names)


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
