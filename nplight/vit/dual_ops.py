"""Operations on dual tensors (`torch.autograd.forward_ad`) with a cheaper JVP than torch's own.

torch's forward derivatives multiply by the zero tangents of the weights, and decompose normalisation and attention.
Here each JVP is one or two kernels: the Jacobians of normalisation and softmax are symmetric, so that their backward
kernels also compute their JVPs. Without a tangent, and in reverse mode, these are the plain operations.
"""

from __future__ import annotations

from typing import cast

import torch
from timm.layers import LayerNorm
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional

LAYER_NORMS = (nn.LayerNorm, LayerNorm)


def affine(stream: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`stream @ weight.T + bias`, for constant weights: (…, in), (out, in), (out,) -> (…, out)."""
    primal, tangent = forward_ad.unpack_dual(stream)
    out = functional.linear(primal, weight, bias)
    return out if tangent is None else _dual(out, functional.linear(tangent, weight))


def added(
    stream: Tensor, values: Tensor, weight: Tensor, bias: Tensor | None = None, scale: Tensor | None = None
) -> Tensor:
    """`stream + scale * affine(values, weight, bias)`: (…, out), (…, in), (out, in), (out,) twice -> (…, out)."""
    (primal, tangent), (neurons, neurons_tangent) = map(forward_ad.unpack_dual, (stream, values))
    alike = stream.dtype == values.dtype and (tangent is None) == (neurons_tangent is None)
    if bias is None or scale is not None or not alike or torch.is_autocast_enabled(stream.device.type):
        addend = affine(values, weight, bias)
        return stream + (addend if scale is None else addend * scale)
    # The product is accumulated into the sum, which saves one pass over memory.
    out = (primal.flatten(0, -2) + bias).addmm_(neurons.flatten(0, -2), weight.T).view(stream.shape)
    if tangent is None:
        return cast(Tensor, out)
    out_tangent = torch.addmm(tangent.flatten(0, -2), neurons_tangent.flatten(0, -2), weight.T)
    return _dual(out, out_tangent.view(stream.shape))


def normalised(norm: nn.Module, stream: Tensor) -> Tensor:
    """`norm(stream)`; only a plain layer norm has a JVP of its own here."""
    primal, tangent = forward_ad.unpack_dual(stream)
    if tangent is None or not isinstance(norm, nn.LayerNorm) or type(norm) not in LAYER_NORMS:
        return cast(Tensor, norm(stream))
    shape, weight, bias = norm.normalized_shape, norm.weight, norm.bias
    if weight is not None:
        # Under autocast a norm computes in the dtype of its weight.
        primal = primal.to(torch.promote_types(primal.dtype, weight.dtype))
    out, mean, spread = torch.native_layer_norm(primal, shape, weight, bias, norm.eps)
    out_tangent, _, _ = torch.ops.aten.native_layer_norm_backward(
        tangent.to(primal.dtype), primal, shape, mean, spread, None, None, [True, False, False]
    )
    return _dual(out, out_tangent if weight is None else out_tangent * weight)


def attention(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Softmax attention: (rows, heads, queries, d), (rows, heads, tokens, d) twice -> (rows, heads, queries, d)."""
    duals = [forward_ad.unpack_dual(tensor) for tensor in (query, key, value)]
    if any(dual.tangent is None for dual in duals):
        return functional.scaled_dot_product_attention(query, key, value, scale=scale)
    queries, keys, values = (torch.stack(dual).flatten(1, 2) for dual in duals)
    queries.mul_(scale)
    weight = (queries[0] @ keys[0].mT).softmax(-1)
    weight_tangent = softmax_jvp(weight, torch.baddbmm(queries[1] @ keys[0].mT, queries[0], keys[1].mT))
    out, out_tangent = weight @ values[0], torch.baddbmm(weight @ values[1], weight_tangent, values[0])
    shape = query.shape[:-1] + value.shape[-1:]
    return _dual(out.view(shape), out_tangent.view(shape))


def softmax_jvp(weight: Tensor, tangent: Tensor) -> Tensor:
    """JVP of a softmax over the last dimension, whose output is `weight`: of the shape of both."""
    return cast(Tensor, torch.ops.aten._softmax_backward_data(tangent.to(weight.dtype), weight, -1, weight.dtype))


def _dual(primal: Tensor, tangent: Tensor) -> Tensor:
    return cast(Tensor, forward_ad.make_dual(primal, tangent.to(primal.dtype)))
