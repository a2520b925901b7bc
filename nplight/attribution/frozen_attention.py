"""Attention of a class token among frozen tokens, with both derivatives.

Every row has a query, a key and a value of its own; all other keys and values belong to its image and are constants.
They hold zeros in the class token's place, so that one product over all tokens serves, and that place is filled in.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import forward_ad

from nplight.vit.rules import softmax_along


def attend_frozen(query: Tensor, key: Tensor, value: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    """What the class token of each row reads.

    Args:
        query: (images, heads, rows of an image, d), that of the class tokens.
        key: (images, heads, rows of an image, d), likewise.
        value: (images, heads, rows of an image, d), likewise.
        keys: (images, heads, tokens, d), frozen; zeros for the first token, the class token.
        values: (images, heads, tokens, d), likewise.
        scale: what multiplies the products of queries and keys.

    Returns:
        (images, heads, rows of an image, d).
    """
    # All in one dtype: the backward pass may run outside of the caller's autocast.
    with torch.autocast(query.device.type, enabled=False):
        (query, along_query), (key, along_key), (value, along_value) = (
            forward_ad.unpack_dual(one.to(values.dtype)) for one in (query * scale, key, value)
        )
        if along_query is None:
            return cast(Tensor, _AttendFrozen.apply(query, key, value, keys.to(values.dtype), values))
        weight = _products(query, key, keys).softmax(-1)
        along = _products(along_query, key, keys)
        along[..., 0] += (query * along_key).sum(-1)
        along = softmax_along(weight, along)
        read = _sums(along, value, values) + weight[..., :1] * along_value
        return cast(Tensor, forward_ad.make_dual(_sums(weight, value, values), read))


class _AttendFrozen(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        weight = _products(query, key, keys).softmax(-1)
        ctx.save_for_backward(query, key, value, keys, values, weight)
        return _sums(weight, value, values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        query, key, value, keys, values, weight = ctx.saved_tensors
        # The Jacobian of a softmax is symmetric.
        score = softmax_along(weight, _products(gradient, value, values))
        return _sums(score, key, keys), score[..., :1] * query, weight[..., :1] * gradient, None, None


def _products(left: Tensor, own: Tensor, others: Tensor) -> Tensor:
    """Of each row with every token, its own in the first place: (…, rows, d) -> (…, rows, tokens)."""
    products = left @ others.mT
    products[..., 0] = (left * own).sum(-1)
    return products


def _sums(weight: Tensor, own: Tensor, others: Tensor) -> Tensor:
    """Of all tokens by weight, its own in the first place: (…, rows, tokens) -> (…, rows, d)."""
    return torch.addcmul(weight @ others, weight[..., :1], own)
