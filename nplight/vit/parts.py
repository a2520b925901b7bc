"""A block in parts, for callers that need only part of it: a few tokens, or its JVP.

The parts equal the block in evaluation mode and have JVP and VJP. `OpenViT.parts` returns them for blocks all of whose
submodules are known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from timm.layers import apply_rot_embed_cat
from torch import Tensor, nn

from nplight.vit import dual_ops
from nplight.vit.projection import DownProjection

ALL = slice(None)


class Affine(NamedTuple):
    """A linear layer, or some rows of one: `weight` (out, in), `bias` (out,) or `None`."""

    weight: Tensor
    bias: Tensor | None = None

    def __call__(self, stream: Tensor) -> Tensor:
        """(…, in) -> (…, out)."""
        return dual_ops.affine(stream, self.weight, self.bias)

    def cut(self, start: int, stop: int) -> Affine:
        """The layer of a slice of the outputs; views."""
        return Affine(self.weight[start:stop], None if self.bias is None else self.bias[start:stop])

    @classmethod
    def of(cls, layer: nn.Linear) -> Affine:
        """The weight and bias of a linear layer."""
        return cls(layer.weight, layer.bias)


class Projections(NamedTuple):
    """Queries, keys and values of all heads from a normed stream; `packed`: one layer for all three, if there is one.

    Keys and values may have fewer heads, each shared by several heads of queries.
    """

    query: Affine
    key: Affine
    value: Affine
    packed: Affine | None = None

    @classmethod
    def of_packed(cls, weight: Tensor, bias: Tensor | None) -> Projections:
        """From stacked weights, (3 x heads x d, features)."""
        packed, width = Affine(weight, bias), len(weight) // 3
        return cls(packed.cut(0, width), packed.cut(width, 2 * width), packed.cut(2 * width, 3 * width), packed)

    def keys_values(self, normed: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, in one product if they are packed."""
        if self.packed is None:
            return self.key(normed), self.value(normed)
        key, value = self.packed.cut(len(self.query.weight), len(self.packed.weight))(normed).chunk(2, -1)
        return key, value


@dataclass(frozen=True, slots=True)
class Rotation:
    """Rotary position embedding of queries and keys.

    Attributes:
        embedding: (tokens after the prefix, 2 d) or (heads, tokens after the prefix, 2 d).
        prefix: number of leading tokens without an embedding.
        half: the layout, `rotate_half` in timm.
    """

    embedding: Tensor
    prefix: int
    half: bool

    def __call__(self, heads: Tensor, first: int) -> Tensor:
        """Rotate (rows, heads, tokens, d), the tokens from `first` on."""
        prefix = min(max(self.prefix - first, 0), heads.shape[2])
        start = max(first - self.prefix, 0)
        count = heads.shape[2] - prefix
        if count == 0:
            return heads
        embedding = self.embedding[..., start : start + count, :]
        rotated = apply_rot_embed_cat(heads[:, :, prefix:], embedding, half=self.half)
        return torch.cat([heads[:, :, :prefix], rotated.to(heads.dtype)], dim=2)


@dataclass(frozen=True, slots=True)
class AttentionParts:
    """Self-attention in parts.

    Attributes:
        projections: normed stream -> queries, keys and values.
        head_width: features of a head, d.
        project: attended values of all heads -> features.
        query_norm: on the queries of each head, or `None`.
        key_norm: on the keys of each head, or `None`.
        inner_norm: on the attended values of all heads, or `None`.
        gate: normed stream -> the gate whose sigmoid multiplies the attended values; or `None`.
        rotation: rotary position embedding, or `None`.
        layer_scale: (features,), or `None`.

    Examples:
        >>> import nplight
        >>> from nplight.planted import PLANTED, build_planted
        >>> vit = nplight.open_vit(build_planted(PLANTED["chain"]).model)
        >>> vit.parts(0).attention.head_width
        64
    """

    projections: Projections
    head_width: int
    project: Affine
    query_norm: nn.Module | None = None
    key_norm: nn.Module | None = None
    inner_norm: nn.Module | None = None
    gate: Affine | None = None
    rotation: Rotation | None = None
    layer_scale: Tensor | None = None

    def queries(self, normed: Tensor, first: int = 0) -> Tensor:
        """Queries of the tokens from `first` on: (rows, tokens, features) -> (rows, heads, tokens, d)."""
        return self._prepared(self._heads(self.projections.query(normed)), self.query_norm, first)

    def keys_values(self, normed: Tensor, first: int = 0) -> tuple[Tensor, Tensor]:
        """Keys and values of the tokens from `first` on, (rows, heads, tokens, d) each."""
        key, value = self.projections.keys_values(normed)
        return self._shared(self._prepared(self._heads(key), self.key_norm, first)), self._shared(self._heads(value))

    def queries_keys_values(self, normed: Tensor, first: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of the tokens from `first` on, in one product if they are packed."""
        if self.projections.packed is None:
            return self.queries(normed, first), *self.keys_values(normed, first)
        # Three tensors: for a single one the backward pass would write the gradients twice.
        query, key, value = (self._heads(part) for part in self.projections.packed(normed).chunk(3, -1))
        return (
            self._prepared(query, self.query_norm, first),
            self._prepared(key, self.key_norm, first),
            value,
        )

    def attended(self, normed: Tensor, tokens: slice) -> Tensor:
        """Attended values of `tokens` over all tokens: (rows, all tokens, features) -> (rows, heads, tokens, d).

        For a subset of the tokens keys and values are not computed, if possible: the queries are multiplied by the
        weights of the keys, attend to the normed stream, and the result is multiplied by the weights of the values. The
        bias of the keys adds a constant to all scores of a query, which softmax cancels.
        """
        if tokens == ALL:
            return dual_ops.attention(*self.queries_keys_values(normed), self.scale)
        query = self.queries(normed[:, tokens], tokens.indices(normed.shape[1])[0]) * self.scale
        if self.key_norm is not None or self.rotation is not None or self._groups > 1:
            key, value = self.keys_values(normed)
            attended: Tensor = (query @ key.mT).softmax(-1) @ value
            return attended
        _, keys, values, _ = self.projections
        by_head = (-1, self.head_width)
        on_stream = torch.einsum("rhtd,hdf->rhtf", query, keys.weight.unflatten(0, by_head))
        weight = (on_stream.flatten(1, 2) @ normed.mT).softmax(-1)
        mean = (weight @ normed).unflatten(1, on_stream.shape[1:3])
        value = torch.einsum("rhtf,hdf->rhtd", mean, values.weight.unflatten(0, by_head))
        return value if values.bias is None else value + values.bias.unflatten(0, by_head).unsqueeze(1)

    def merge(self, stream: Tensor, attended: Tensor, normed: Tensor) -> Tensor:
        """The stream after the attention.

        Args:
            stream: (rows, tokens, features), before it.
            attended: (rows, heads, tokens, d), the attended values.
            normed: (rows, tokens, features), the normed stream.
        """
        merged = attended.transpose(1, 2).flatten(2)
        if self.inner_norm is not None:
            merged = dual_ops.normalised(self.inner_norm, merged)
        if self.gate is not None:
            merged = merged * self.gate(normed).sigmoid()
        weight, bias = self.project
        return dual_ops.added(stream, merged, weight, bias, self.layer_scale)

    def _heads(self, joined: Tensor) -> Tensor:
        heads: Tensor = joined.unflatten(-1, (-1, self.head_width))
        return heads.transpose(1, 2)

    def _prepared(self, heads: Tensor, norm: nn.Module | None, first: int) -> Tensor:
        heads = heads if norm is None else dual_ops.normalised(norm, heads)
        return heads if self.rotation is None else self.rotation(heads, first)

    @property
    def scale(self) -> float:
        """The factor of the products of queries and keys."""
        return float(self.head_width**-0.5)

    @property
    def _groups(self) -> int:
        """Heads of queries per head of keys and values."""
        return len(self.projections.query.weight) // len(self.projections.key.weight)

    def _shared(self, heads: Tensor) -> Tensor:
        """Keys or values, repeated for each head of queries."""
        return heads if self._groups == 1 else heads.repeat_interleave(self._groups, dim=1)


@dataclass(frozen=True, slots=True)
class BlockParts:
    """A block `stream + attention`, then `stream + FFN`, each after a norm.

    Attributes:
        norm1: before the attention.
        attention: its parts.
        norm2: before the FFN.
        up: normed stream -> neurons, (…, features) -> (…, width).
        down: neurons -> the addition to the stream.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit = nplight.open_vit(planted.model)
        >>> parts, stream = vit.parts(0), vit.embed(planted.images)
        >>> torch.allclose(parts.feed(parts.attend(stream)), vit.block(0, stream), atol=1e-6)
        True
    """

    norm1: nn.Module
    attention: AttentionParts
    norm2: nn.Module
    up: Callable[[Tensor], Tensor]
    down: DownProjection

    def attend(self, stream: Tensor, tokens: slice = ALL) -> Tensor:
        """The stream after the attention, at `tokens`: (rows, all tokens, features) -> (rows, tokens, features)."""
        parts, normed = self.attention, dual_ops.normalised(self.norm1, stream)
        attended = parts.attended(normed, tokens)
        return parts.merge(stream[:, tokens], attended, normed[:, tokens])

    def feed(self, stream: Tensor) -> Tensor:
        """The stream after the FFN, token by token: (rows, tokens, features) -> the same shape."""
        return self.down.add(stream, self.up(dual_ops.normalised(self.norm2, stream)))
