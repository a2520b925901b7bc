"""The arithmetic of a timm ViT written out, independent of hooks and adapters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from timm.layers import GluMlp, SwiGLU
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

Edit = Callable[[int, Tensor], Tensor]


def inner(ffn: nn.Module, stream: Tensor) -> Tensor:
    """What enters the down projection."""
    if isinstance(ffn, SwiGLU):
        return ffn.norm(ffn.act(ffn.fc1_g(stream)) * ffn.fc1_x(stream))
    if isinstance(ffn, GluMlp):
        left, right = ffn.fc1(stream).chunk(2, dim=-1)
        gated = left * ffn.act(right) if ffn.gate_last else ffn.act(left) * right
        return ffn.norm(gated)
    return ffn.norm(ffn.act(ffn.fc1(stream)))


def forward_by_hand(model: VisionTransformer, images: Tensor, edit: Edit) -> Tensor:
    """The model's arithmetic, with the neurons of every token passed through `edit`."""
    patches = model.patch_embed(images).flatten(1, -2)
    names = ("cls_token", "dist_token", "reg_token")
    prefix = [getattr(model, name) for name in names if getattr(model, name, None) is not None]
    tokens = [token.expand(len(images), -1, -1) for token in prefix]
    if model.no_embed_class:
        stream = torch.cat([*tokens, patches + model.pos_embed], dim=1)
    else:
        stream = torch.cat([*tokens, patches], dim=1) + model.pos_embed
    stream = model.norm_pre(stream)
    for layer, block in enumerate(model.blocks):
        stream = stream + block.ls1(block.attn(block.norm1(stream)))
        neurons = inner(block.mlp, block.norm2(stream))
        stream = stream + block.ls2(block.mlp.fc2(edit(layer, neurons)))
    stream = model.norm(stream)
    if isinstance(model, VisionTransformerDistilled):
        return (model.head(stream[:, 0]) + model.head_dist(stream[:, 1])) / 2
    if model.global_pool == "token":
        pooled = stream[:, 0]
    elif model.global_pool == "avg":
        pooled = stream[:, model.num_prefix_tokens :].mean(1)
    else:
        pooled = model.attn_pool(stream[:, model.num_prefix_tokens :])
    return model.head(model.fc_norm(pooled))
