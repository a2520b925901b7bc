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
        key_columns: (images, heads, d, tokens), the keys again, transposed in memory where products are quicker so.
        value_columns: (images, heads, d, tokens), likewise.
    """

    key: Tensor
    value: Tensor
    key_columns: Tensor
    value_columns: Tensor

    @classmethod
    def of(cls, key: Tensor, value: Tensor) -> Frozen:
        """From scaled keys and values laid out as rows."""
        columns = (one.mT.contiguous() if one.device.type == "cpu" else one.mT for one in (key, value))
        return cls(key, value, *columns)

    def images(self, some: slice) -> Frozen:
        """Those of some of the images; views."""
        return Frozen(*(one[some] for one in self))


def attend_frozen(query: Tensor, key: Tensor, value: Tensor, frozen: Frozen, scale: float) -> Tensor:
    """What the class token of each row reads.

    Args:
        query: (images, heads, rows of an image, d), that of the class tokens.
        key: (images, heads, rows of an image, d), likewise.
        value: (images, heads, rows of an image, d), likewise.
        frozen: the other tokens' keys and values.
        scale: what multiplies the products of queries and keys.

    Returns:
        (images, heads, rows of an image, d).
    """
    # All in one dtype: the backward pass may run outside of the caller's autocast.
    with torch.autocast(query.device.type, enabled=False):
        rows = [one.to(frozen.value.dtype).flatten(0, 1).contiguous() for one in (query, key, value)]
        others = Frozen(*(one.flatten(0, 1) for one in frozen))
        (query_, along_query), (key_, along_key), (value_, along_value) = map(forward_ad.unpack_dual, rows)
        if along_query is None:
            return cast(Tensor, _AttendFrozen.apply(*rows, *others, scale)).view(query.shape)
        weight = _products(query_, key_, others.key_columns, scale).softmax(-1)
        along = _products(along_query, key_, others.key_columns, scale)
        along[..., 0].add_((query_ * along_key).sum(-1), alpha=scale)
        along = softmax_along(weight, along)
        read = _sums(along, value_, others.value).addcmul_(weight[..., :1], along_value)
        return cast(Tensor, forward_ad.make_dual(_sums(weight, value_, others.value), read)).view(query.shape)


class _AttendFrozen(torch.autograd.Function):
    """With images and heads as one dimension."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, *others: Any) -> Tensor:
        frozen, scale = Frozen(*others[:-1]), others[-1]
        scores = _products(query, key, frozen.key_columns, scale)
        weight = torch.softmax(scores, -1, out=scores)
        ctx.save_for_backward(query, key, value, weight, frozen.key, frozen.value_columns)
        ctx.scale = scale
        return _sums(weight, value, frozen.value)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, weight, keys, value_columns = ctx.saved_tensors
        # The Jacobian of a softmax is symmetric.
        score = softmax_along(weight, _products(gradient, value, value_columns))
        own = score[..., :1] * ctx.scale
        by_query = (score @ keys).addcmul_(own, key)
        return by_query, own * query, weight[..., :1] * gradient, None, None, None, None, None


def _products(left: Tensor, own: Tensor, columns: Tensor, scale: float = 1) -> Tensor:
    """Of each row with every token, its own, scaled, in the first place: (…, rows, d) -> (…, rows, tokens)."""
    products = left @ columns
    products[..., 0] = (left * own).sum(-1) * scale
    return products


def _sums(weight: Tensor, own: Tensor, others: Tensor) -> Tensor:
    """Of all tokens by weight, its own in the first place: (…, rows, tokens) -> (…, rows, d)."""
    return (weight @ others).addcmul_(weight[..., :1], own)
