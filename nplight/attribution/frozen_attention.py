"""Attention of a class token among frozen tokens, with both derivatives.

Every row has a query, a key and a value of its own; all other keys and values belong to its image and are constants.
They hold zeros in the class token's place, so that one product over all tokens serves, and that place is filled in.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import once_differentiable

from nplight.vit.rules import softmax_along


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
        """Room for those of some images: (any, heads, tokens, d), like theirs."""
        return cls(*(like.new_empty(images, *like.shape[1:]) for _ in cls._fields))

    def keep(self, images: slice, key: Tensor, value: Tensor, scale: float) -> None:
        """Fill in some of the images: (images, heads, tokens, d) twice, and what multiplies the keys."""
        # Copies: views would keep the queries too.
        torch.mul(key, scale, out=self.key[images])
        self.value[images] = value
        for one in self:
            one[images, :, 0] = 0

    def images(self, some: slice) -> Frozen:
        """Those of some of the images; views."""
        return Frozen(*(one[some] for one in self))


def attend_frozen(heads: Tensor, frozen: Frozen, scale: float) -> Tensor:
    """What the class token of each row reads.

    Args:
        heads: (3, images, heads, rows of an image, d), the class tokens' queries, keys and values.
        frozen: the other tokens' keys and values.
        scale: what multiplies the products of queries and keys.

    Returns:
        (images, heads, rows of an image, d).
    """
    # All in one dtype: the backward pass may run outside of the caller's autocast.
    with torch.autocast(heads.device.type, enabled=False):
        primal, tangent = forward_ad.unpack_dual(heads.to(frozen.value.dtype).flatten(1, 2))
        keys, values = (one.flatten(0, 1) for one in frozen)
        if tangent is None:
            return cast(Tensor, _AttendFrozen.apply(primal, keys, values, scale)).view(heads.shape[1:])
        (query, key, value), (along_query, along_key, along_value) = primal, tangent
        weight = _products(query, key, keys, scale).softmax(-1)
        along = _products(along_query, key, keys, scale)
        along[..., 0].add_((query * along_key).sum(-1), alpha=scale)
        along = softmax_along(weight, along)
        read = _sums(along, value, values).addcmul_(weight[..., :1], along_value)
        return cast(Tensor, forward_ad.make_dual(_sums(weight, value, values), read)).view(heads.shape[1:])


class _AttendFrozen(torch.autograd.Function):
    """With images and heads as one dimension."""

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
        score = softmax_along(weight, _products(gradient, value, values))
        own = score[..., :1] * ctx.scale
        by_heads = torch.empty_like(heads)
        torch.bmm(score, keys, out=by_heads[0]).addcmul_(own, key)
        torch.mul(own, query, out=by_heads[1])
        torch.mul(weight[..., :1], gradient, out=by_heads[2])
        return by_heads, None, None, None


def _products(left: Tensor, own: Tensor, others: Tensor, scale: float = 1) -> Tensor:
    """Of each row with every token, its own, scaled, in the first place: (…, rows, d) -> (…, rows, tokens)."""
    products = left @ others.mT
    products[..., 0] = (left * own).sum(-1) * scale
    return products


def _sums(weight: Tensor, own: Tensor, others: Tensor) -> Tensor:
    """Of all tokens by weight, its own in the first place: (…, rows, tokens) -> (…, rows, d)."""
    return (weight @ others).addcmul_(weight[..., :1], own)
