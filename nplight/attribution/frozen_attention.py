"""Attention of a class token over frozen tokens, with JVP and VJP.

Every node row has its own query, key and value of the class token; the other keys and values belong to its image and
are constants. They are zero at the position of the class token, so that one product covers all tokens; the class
token's term is then added.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import once_differentiable

from nplight.vit.dual_ops import softmax_jvp


class Frozen(NamedTuple):
    """Keys and values of a block's tokens; zeros for the class token, the first.

    Attributes:
        key: (images, heads, tokens, d), times the scale of the attention.
        value: (images, heads, tokens, d).
    """

    key: Tensor
    value: Tensor

    @classmethod
    def empty(cls, images: int, like: Tensor) -> Frozen:
        """Uninitialised keys and values of `images` images, as those of `like`, (any, heads, tokens, d)."""
        return cls(*(like.new_empty(images, *like.shape[1:]) for _ in cls._fields))

    def keep(self, images: slice, key: Tensor, value: Tensor, scale: float) -> None:
        """Write the keys, times `scale`, and values of a slice of the images: (images, heads, tokens, d) each."""
        # Copies: views would keep the queries alive too.
        torch.mul(key, scale, out=self.key[images])
        self.value[images] = value
        for values in self:
            values[images, :, 0] = 0

    def of(self, images: slice | Tensor) -> Frozen:
        """The keys and values of a slice of the images, as views, or of positions, as copies."""
        return Frozen(self.key[images], self.value[images])


def attend_frozen(heads: Tensor, frozen: Frozen, scale: float) -> Tensor:
    """The attention output of the class token of each node row.

    Args:
        heads: (3, images, heads, rows per image, d), queries, keys and values of the class tokens.
        frozen: keys and values of the other tokens.
        scale: multiplies the products of queries and keys.

    Returns:
        (images, heads, rows per image, d).
    """
    # One dtype throughout: the backward pass may run outside of the caller's autocast.
    with torch.autocast(heads.device.type, enabled=False):
        primal, tangent = forward_ad.unpack_dual(heads.to(frozen.value.dtype).flatten(1, 2))
        keys, values = (tensor.flatten(0, 1) for tensor in frozen)
        if tangent is None:
            return cast(Tensor, _AttendFrozen.apply(primal, keys, values, scale)).view(heads.shape[1:])
        (query, key, value), (query_tangent, key_tangent, value_tangent) = primal, tangent
        weight = _products(query, key, keys, scale).softmax(-1)
        score_tangent = _products(query_tangent, key, keys, scale)
        score_tangent[..., 0].add_((query * key_tangent).sum(-1), alpha=scale)
        weight_tangent = softmax_jvp(weight, score_tangent)
        out_tangent = _sums(weight_tangent, value, values).addcmul_(weight[..., :1], value_tangent)
        return cast(Tensor, forward_ad.make_dual(_sums(weight, value, values), out_tangent)).view(heads.shape[1:])


class _AttendFrozen(torch.autograd.Function):
    """`attend_frozen` with images and heads as one dimension."""

    @staticmethod
    def forward(ctx: Any, heads: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        query, key, value = heads
        scores = _products(query, key, keys, scale)
        weight = torch.softmax(scores, -1, out=scores)
        ctx.save_for_backward(heads, weight, keys, values)
        ctx.scale = scale
        return _sums(weight, value, values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        heads, weight, keys, values = ctx.saved_tensors
        query, key, value = heads
        # The Jacobian of a softmax is symmetric.
        score = softmax_jvp(weight, _products(gradient, value, values))
        class_score = score[..., :1] * ctx.scale
        by_heads = torch.empty_like(heads)
        torch.bmm(score, keys, out=by_heads[0]).addcmul_(class_score, key)
        torch.mul(class_score, query, out=by_heads[1])
        torch.mul(weight[..., :1], gradient, out=by_heads[2])
        return by_heads, None, None, None


def _products(left: Tensor, of_class: Tensor, frozen: Tensor, scale: float = 1) -> Tensor:
    """Products of each row with every token, the first of them its class token, scaled: (…, rows, tokens)."""
    products = left @ frozen.mT
    products[..., 0] = (left * of_class).sum(-1) * scale
    return products


def _sums(weight: Tensor, of_class: Tensor, frozen: Tensor) -> Tensor:
    """Weighted sums over all tokens, the first of them the row's class token: (…, rows, tokens) -> (…, rows, d)."""
    return (weight @ frozen).addcmul_(weight[..., :1], of_class)
