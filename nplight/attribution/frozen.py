"""The frozen patch stream: an approximation in which an edit changes the class token alone.

Edits touch the class token's neurons. In the exact search the other tokens see the edited class token in the next
block, and change with it. Here every block keeps the keys and values that its other tokens (patches, registers, a
distillation token) have on the clean pass, and the class token alone is computed anew, which is about 1/tokens of the
work. All else is as in the exact search. The more tokens, the better: the class token is one key of many.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nplight.attribution.clean import CleanPass, at_least_float32, check_finite
from nplight.attribution.frozen_attention import Frozen, attend_frozen
from nplight.attribution.passes import Passes
from nplight.errors import ArgumentError
from nplight.vit import BlockParts, OpenViT, interrupt_point, refuse_hooks, rules
from nplight.vit.parts import ALL

CLASS = slice(0, 1)

# A CPU's caches hold no more tokens in flight; on a GPU more is quicker.
_CPU_TOKENS = 1 << 11


@dataclass(frozen=True, slots=True)
class FrozenPass(CleanPass):
    """A clean pass that keeps what is frozen; a search over it is the frozen search.

    Attributes:
        frozen: layer -> the keys and values of its block.
    """

    frozen: Mapping[int, Frozen]


def frozen_pass(vit: OpenViT, images: Tensor) -> FrozenPass:
    """Run the opened model once, unedited, without a graph, and keep every block's keys and values.

    Raises:
        ArgumentError: the model's patch stream cannot be frozen.
        UnsupportedModelError: somebody's hook stands where a search does not see it.
        NonFiniteError: an image, a neuron or a logit is NaN or infinite, naming the positions.
    """
    refuse_hooks(vit)
    blocks = _blocks(vit)
    check_finite("`images` has NaN or infinite pixels", images)
    frozen: dict[int, Frozen] = {}
    with torch.no_grad():
        embedded = vit.embed(images)
        at_once = max(1, _CPU_TOKENS // embedded.shape[1]) if images.device.type == "cpu" else len(images)
        pieces = -(-len(images) // at_once)
        even = -(-len(images) // pieces)
        parts = [slice(start, start + even) for start in range(0, len(images), even)]
        firsts, logits, values = zip(*(_through(vit, blocks, embedded, part, frozen) for part in parts))
    found = FrozenPass(
        images,
        values={layer: torch.cat(some) for layer, some in enumerate(zip(*values))},
        first=torch.cat(firsts),
        logits=torch.cat(logits),
        frozen=frozen,
    )
    check_finite("the clean pass gave NaN or infinite values", found.logits, *found.values.values())
    return found


def _through(
    vit: OpenViT, blocks: list[BlockParts], embedded: Tensor, images: slice, frozen: dict[int, Frozen]
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """What leaves block 0 at the class token, the logits, and each block's neurons there; fills what is frozen."""
    stream, values, streams = embedded[images], [], []
    for layer, parts in enumerate(blocks):
        interrupt_point()
        tokens, attention, normed = ALL, parts.attention, rules.normalised(parts.norm1, stream)
        if layer < vit.depth - 1:
            query, key, value = attention.queries_keys_values(normed)
        else:
            tokens = CLASS
            query, (key, value) = attention.queries(normed[:, tokens]), attention.keys_values(normed)
        attended = rules.attention(query, key, value, attention.scale)
        if layer not in frozen:
            frozen[layer] = Frozen.empty(len(embedded), key)
        frozen[layer].keep(images, key, value, attention.scale)
        stream = attention.merge(stream[:, tokens], attended, normed[:, tokens])
        values.append(at_least_float32(parts.up(rules.normalised(parts.norm2, stream[:, CLASS]))))
        stream = parts.feed(stream)
        streams.append(stream[:, CLASS])
    return streams[0].clone(), at_least_float32(vit.head(stream)), values


def _blocks(vit: OpenViT) -> list[BlockParts]:
    """The parts of every block of a model whose patch stream can be frozen."""
    found = [vit.parts(layer) for layer in range(vit.depth)]
    blocks = [parts for parts in found if parts is not None]
    if vit.path_tokens == CLASS and vit.head_takes_path_tokens() and len(blocks) == vit.depth:
        return blocks
    raise ArgumentError(
        f"`patch_stream` must be 'exact' for a {type(vit.model).__name__} "
        + (
            f"whose block {found.index(None)} holds a hook or a module of another kind than its family's, got 'frozen'"
            if len(blocks) < vit.depth
            else "that classifies from other tokens than the class token, or whose head somebody hooks, got 'frozen'"
        )
    )


class FrozenPasses(Passes):
    """The blocks of one model for a stream of the class token alone, (rows, 1, features).

    Args:
        vit: the opened model, undisturbed.
        frozen: what each block keeps, for the images whose rows pass; the same number of rows for each, in order.
    """

    def __init__(self, vit: OpenViT, frozen: Mapping[int, Frozen]) -> None:
        super().__init__(vit)
        self._frozen = frozen
        self._compiled = {}
        # A class token is never rotated.
        self._parts = [
            parts and replace(parts, attention=replace(parts.attention, rotation=None)) for parts in self._parts
        ]

    def of(self, images: slice) -> FrozenPasses:
        """The same for the rows of some of the images alone."""
        some = copy(self)
        some._frozen = {layer: kept.images(images) for layer, kept in self._frozen.items()}
        return some

    def live(self, layer: int) -> slice:
        """The one token there is."""
        return ALL

    def path_tokens(self, layer: int) -> slice:
        """The one token there is."""
        return ALL

    def _attended(self, layer: int, parts: BlockParts, stream: Tensor) -> Tensor:
        # The rows of an image in the place of its tokens.
        attention = parts.attention
        stream = stream.view(len(self._frozen[layer].key), -1, stream.shape[-1])
        normed = rules.normalised(parts.norm1, stream)
        heads = torch.stack(attention.queries_keys_values(normed))
        attended = attend_frozen(heads, self._frozen[layer], attention.scale)
        return attention.merge(stream, attended, normed).view(-1, 1, stream.shape[-1])


def passes_over(vit: OpenViT, clean: CleanPass) -> Passes:
    """What runs the blocks of a search over a clean pass: of the class token alone over a `FrozenPass`."""
    return FrozenPasses(vit, clean.frozen) if isinstance(clean, FrozenPass) else Passes(vit)
