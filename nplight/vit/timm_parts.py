"""timm's blocks in parts; `None` for a block with unknown submodules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timm.layers import Attention, AttentionRope, GatedMlp, GluMlp, Mlp, SwiGLU
from timm.models.eva import EvaAttention
from timm.models.vision_transformer import LayerScale
from torch import Tensor, nn

from nplight.vit.dual_ops import normalised
from nplight.vit.feed_forward import FeedForward
from nplight.vit.module_checks import element_wise, identity, only, token_wise
from nplight.vit.parts import Affine, AttentionParts, BlockParts, Projections, Rotation
from nplight.vit.projection import DownProjection
from nplight.vit.refusals import is_linear

_ATTENTION = {"qkv", "q_proj", "k_proj", "v_proj", "q_norm", "k_norm", "attn_drop", "norm", "gate", "proj", "proj_drop"}
_BLOCK = {"norm1", "attn", "ls1", "drop_path1", "norm2", "mlp", "ls2", "drop_path2"}
_MLP = {"act", "drop1", "gate", "norm", "fc2", "drop2"}


def block_parts(block: Any, down: DownProjection, rope: Tensor | None = None) -> BlockParts | None:
    """The parts of timm's `Block` or `EvaBlock`; `rope`: its rotary position embedding, if any."""
    scales = (getattr(block, "ls1", None), getattr(block, "ls2", None))
    attention, up = _attention(block, rope), _up(block.mlp)
    if attention is None or up is None or not only(block, _BLOCK):
        return None
    if not all(scale is None or isinstance(scale, (nn.Identity, LayerScale)) for scale in scales):
        return None
    dropped = (getattr(block, "drop_path1", None), getattr(block, "drop_path2", None), block.mlp.drop2)
    if not identity(*dropped) or not token_wise(block.norm1, block.norm2):
        return None
    return BlockParts(block.norm1, attention, block.norm2, up, down)


def mlp_modules(mlp: Any) -> FeedForward | None:
    """The layers and the norm of one of timm's FFNs; `None` for one with unknown submodules."""
    if not _known(mlp):
        return None
    names = _UP[type(mlp)][0]
    groups = 2 if isinstance(mlp, GluMlp) else 1
    return FeedForward(tuple(getattr(mlp, name) for name in names), mlp.fc2, groups, _norm(mlp.norm))


def patch_multiple(patch_embed: Any) -> tuple[int, int]:
    """The numbers of which height and width must be multiples; 1 for a patch embedding that pads or crops."""
    if patch_embed.img_size is None or getattr(patch_embed, "dynamic_img_pad", False):
        return (1, 1)
    height, width = patch_embed.patch_size
    return (height, width)


def _attention(block: Any, rope: Tensor | None) -> AttentionParts | None:
    attention = block.attn
    if type(attention) not in (Attention, AttentionRope, EvaAttention) or not only(attention, _ATTENTION):
        return None
    projections = _projections(attention)
    gate = getattr(attention, "gate", None)
    if projections is None or not is_linear(attention.proj) or not (gate is None or is_linear(gate)):
        return None
    width = len(projections.query.weight) // attention.num_heads
    if attention.scale != width**-0.5:
        return None
    norms = (_norm(attention.q_norm), _norm(attention.k_norm), _norm(getattr(attention, "norm", None)))
    if not identity(attention.attn_drop, attention.proj_drop) or not token_wise(*norms):
        return None
    half = getattr(attention, "rotate_half", False)
    return AttentionParts(
        projections,
        width,
        Affine.of(attention.proj),
        *norms,
        gate=None if gate is None else Affine.of(gate),
        rotation=None if rope is None else Rotation(rope, attention.num_prefix_tokens, half),
        layer_scale=getattr(block, "gamma_1", getattr(getattr(block, "ls1", None), "gamma", None)),
    )


def _projections(attention: Any) -> Projections | None:
    if attention.qkv is None:
        layers = (attention.q_proj, attention.k_proj, attention.v_proj)
        return Projections(*map(Affine.of, layers)) if all(map(is_linear, layers)) else None
    if not is_linear(attention.qkv):
        return None
    bias = attention.qkv.bias
    if getattr(attention, "q_bias", None) is not None:
        bias = torch.cat([attention.q_bias, attention.k_bias, attention.v_bias])
    return Projections.of_packed(attention.qkv.weight, bias)


def _up(mlp: Any) -> Callable[[Tensor], Tensor] | None:
    """The function from the normed stream to the neurons, of timm's FFNs."""
    if not _known(mlp) or not element_wise(mlp.act) or not token_wise(_norm(mlp.norm)):
        return None
    activated, norm = _UP[type(mlp)][1], _norm(mlp.norm)

    def up(normed: Tensor) -> Tensor:
        neurons = activated(mlp, normed)
        return neurons if norm is None else normalised(norm, neurons)

    return up


def _known(mlp: Any) -> bool:
    kind = type(mlp)
    if kind not in _UP or not only(mlp, _MLP | set(_UP[kind][0])) or not identity(mlp.drop1):
        return False
    linear = all(is_linear(getattr(mlp, name)) for name in _UP[kind][0])
    return linear and identity(getattr(mlp, "gate", None))


def _plain(mlp: Any, normed: Tensor) -> Tensor:
    return _activated(mlp, Affine.of(mlp.fc1)(normed))


def _halves(mlp: Any, normed: Tensor) -> Tensor:
    first, second = Affine.of(mlp.fc1)(normed).chunk(2, -1)
    return first * _activated(mlp, second) if mlp.gate_last else _activated(mlp, first) * second


def _two(mlp: Any, normed: Tensor) -> Tensor:
    return _activated(mlp, Affine.of(mlp.fc1_g)(normed)) * Affine.of(mlp.fc1_x)(normed)


def _activated(mlp: Any, values: Tensor) -> Tensor:
    activated: Tensor = mlp.act(values)
    return activated


_UP: dict[type[nn.Module], tuple[tuple[str, ...], Callable[[Any, Tensor], Tensor]]] = {
    Mlp: (("fc1",), _plain),
    GatedMlp: (("fc1",), _plain),
    GluMlp: (("fc1",), _halves),
    SwiGLU: (("fc1_g", "fc1_x"), _two),
}


def _norm(module: nn.Module | None) -> nn.Module | None:
    return None if isinstance(module, nn.Identity) else module
