"""The frozen patch stream: an approximation in which an edit changes only the class token.

Edits change the neurons of the class token. In the exact search the other tokens attend to the edited class token in
the next block, and change with it. Here every block keeps the keys and values that its other tokens (patches,
registers, a distillation token) have on the clean pass, and only the class token is computed again, which is about
1/tokens of the work. All else is as in the exact search. The approximation improves with the number of tokens, since
the class token is one key among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nplight.attribution.block_runner import BlockRunner
from nplight.attribution.clean import CleanPass, check_finite
from nplight.attribution.frozen_attention import Frozen, attend_frozen
from nplight.attribution.objective import at_least_float32
from nplight.errors import ArgumentError
from nplight.vit import BlockParts, OpenViT, dual_ops, interrupt_point, refuse_hooks
from nplight.vit.parts import ALL

CLASS = slice(0, 1)

# Tokens in flight that fit the caches of a CPU; on a GPU all images run at once.
_CPU_TOKENS = 1 << 11


@dataclass(frozen=True, slots=True)
class FrozenPass(CleanPass):
    """A clean pass that keeps the keys and values of every block; a search over it is the frozen search.

    Attributes:
        frozen: layer -> the keys and values of its block.

    Examples:
        >>> import nplight
        >>> from nplight.attribution import frozen_pass
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit = nplight.open_vit(planted.model)
        >>> clean = frozen_pass(vit, planted.images)
        >>> sorted(clean.frozen), clean.first.shape  # the class token's stream alone
        ([0, 1, 2, 3], torch.Size([16, 1, 64]))
    """

    frozen: Mapping[int, Frozen]

    def of(self, images: Tensor) -> FrozenPass:
        """The clean pass of some of the images: (images,) int64, positions."""
        # `super()` without arguments fails in a dataclass with slots, which is a second class.
        frozen = {layer: keys_values.of(images) for layer, keys_values in self.frozen.items()}
        return replace(CleanPass.of(self, images), frozen=frozen)


def frozen_pass(vit: OpenViT, images: Tensor) -> FrozenPass:
    """Run the opened model once, unedited, without a graph, and keep every block's keys and values.

    Raises:
        ArgumentError: the model's patch stream cannot be frozen.
        UnsupportedModelError: the model has a hook at a place that the search bypasses.
        NonFiniteError: an image, a neuron or a logit is NaN or infinite, naming the positions.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.attribution import frozen_pass
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit = nplight.open_vit(planted.model)
        >>> torch.equal(frozen_pass(vit, planted.images).logits, planted.model(planted.images).detach())
        False
    """
    refuse_hooks(vit)
    blocks = _blocks(vit)
    check_finite("`images` has NaN or infinite pixels", images)
    frozen: dict[int, Frozen] = {}
    with torch.no_grad():
        embedded = vit.embed(images)
        largest = max(1, _CPU_TOKENS // embedded.shape[1]) if images.device.type == "cpu" else len(images)
        groups = -(-len(images) // largest)
        size = -(-len(images) // groups)
        slices = [slice(start, start + size) for start in range(0, len(images), size)]
        firsts, logits, values = zip(*(_through(vit, blocks, embedded, group, frozen) for group in slices))
    clean = FrozenPass(
        images,
        values={layer: torch.cat(parts) for layer, parts in enumerate(zip(*values))},
        first=torch.cat(firsts),
        logits=torch.cat(logits),
        frozen=frozen,
    )
    check_finite("the clean pass gave NaN or infinite values", clean.logits, *clean.values.values())
    return clean


def _through(
    vit: OpenViT, blocks: list[BlockParts], embedded: Tensor, images: slice, frozen: dict[int, Frozen]
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The output of block 0, the logits, and the neurons of each block, at the class token; adds to `frozen`."""
    stream, values, streams = embedded[images], [], []
    for layer, parts in enumerate(blocks):
        interrupt_point()
        tokens, attention, normed = ALL, parts.attention, dual_ops.normalised(parts.norm1, stream)
        if layer < vit.depth - 1:
            query, key, value = attention.queries_keys_values(normed)
        else:
            tokens = CLASS
            query, (key, value) = attention.queries(normed[:, tokens]), attention.keys_values(normed)
        attended = dual_ops.attention(query, key, value, attention.scale)
        if layer not in frozen:
            frozen[layer] = Frozen.empty(len(embedded), key)
        frozen[layer].keep(images, key, value, attention.scale)
        stream = attention.merge(stream[:, tokens], attended, normed[:, tokens])
        values.append(at_least_float32(parts.up(dual_ops.normalised(parts.norm2, stream[:, CLASS]))))
        stream = parts.feed(stream)
        streams.append(stream[:, CLASS])
    return streams[0].clone(), at_least_float32(vit.head(stream)), values


def reads_class_token(vit: OpenViT) -> bool:
    """Whether a model classifies from the class token alone: with blocks known in parts, its patches can be frozen."""
    return vit.path_tokens == CLASS and vit.head_takes_path_tokens()


def _blocks(vit: OpenViT) -> list[BlockParts]:
    """The parts of every block, of a model whose patch stream can be frozen."""
    every_block = [vit.parts(layer) for layer in range(vit.depth)]
    blocks = [parts for parts in every_block if parts is not None]
    if reads_class_token(vit) and len(blocks) == vit.depth:
        return blocks
    raise ArgumentError(
        f"`patch_stream` must be 'exact' for a {type(vit.model).__name__} "
        + (
            f"whose block {every_block.index(None)} holds a hook or a module of another kind than its family's, "
            f"got 'frozen'"
            if len(blocks) < vit.depth
            else "that classifies from other tokens than the class token, or whose head has hooks, got 'frozen'"
        )
    )


class FrozenBlockRunner(BlockRunner):
    """Runs the blocks of one model for a stream of the class token only, (rows, 1, features).

    Args:
        blocks: the block runner of the model for all tokens.
        frozen: layer -> the keys and values of the images; every image has the same number of rows, in order.
    """

    def __init__(self, blocks: BlockRunner, frozen: Mapping[int, Frozen]) -> None:
        vars(self).update(vars(blocks))
        self._frozen = frozen
        self._compiled = {}
        # A class token is never rotated.
        self._parts = [
            parts and replace(parts, attention=replace(parts.attention, rotation=None)) for parts in self._parts
        ]

    def of(self, images: slice) -> FrozenBlockRunner:
        """The block runner for the node rows of a slice of the images."""
        runner = copy(self)
        runner._frozen = {layer: frozen.of(images) for layer, frozen in self._frozen.items()}
        return runner

    def live(self, layer: int) -> slice:
        """All: the class token is the only one."""
        return ALL

    def path_tokens(self, layer: int) -> slice:
        """All: the class token is the only one."""
        return ALL

    def _attended(self, layer: int, parts: BlockParts, stream: Tensor) -> Tensor:
        # The rows of an image take the dimension of its tokens.
        attention = parts.attention
        stream = stream.view(len(self._frozen[layer].key), -1, stream.shape[-1])
        normed = dual_ops.normalised(parts.norm1, stream)
        heads = torch.stack(attention.queries_keys_values(normed))
        attended = attend_frozen(heads, self._frozen[layer], attention.scale)
        return attention.merge(stream, attended, normed).view(-1, 1, stream.shape[-1])


def runner_over(blocks: BlockRunner, clean: CleanPass) -> BlockRunner:
    """The block runner of a search over a clean pass; over a `FrozenPass`, that of the class token."""
    return FrozenBlockRunner(blocks, clean.frozen) if isinstance(clean, FrozenPass) else blocks
