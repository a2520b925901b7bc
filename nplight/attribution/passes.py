"""Running an opened model's blocks for the engine: in parts where they are known, whole where not.

Parts leave out what the result does not need: the neurons of a token whose neurons are overwritten, and every token but
the path tokens in the last block of a model whose head reads no others.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from nplight.attribution.clean import target_probability
from nplight.attribution.compiled import compiled
from nplight.attribution.tangent import block_with_tangent, dual_level
from nplight.neurons import overwrite
from nplight.vit import BlockParts, OpenViT, interrupt_point, is_compiled, rules
from nplight.vit.parts import ALL


class Passes:
    """The blocks of one model, as long as nobody hooks or unhooks them.

    Blocks that somebody has compiled in place (`block.compile()`) run compiled where nothing is edited, which is where
    the work is.

    Args:
        vit: the opened model, undisturbed.
        tokens: where neurons are overwritten; `None`: at the path tokens.
    """

    def __init__(self, vit: OpenViT, tokens: slice | None = None) -> None:
        self.vit = vit
        self.tokens = vit.path_tokens if tokens is None else tokens
        self._parts = [vit.parts(layer) for layer in range(vit.depth)]
        self._narrow = self._parts[-1] is not None and vit.head_takes_path_tokens() and self.tokens == vit.path_tokens
        self._compiled = {
            layer: compiled(block, parts, self.live(layer))
            for layer, (block, parts) in enumerate(zip(vit.blocks(), self._parts))
            if parts is not None and any(map(is_compiled, (block, vit.transformer, vit.model)))
        }

    @property
    def in_parts(self) -> bool:
        """Whether every block is known in parts, so that `attended`, `neurons` and `fed` can run it."""
        return None not in self._parts

    def of(self, images: slice) -> Passes:
        """The same for the rows of some of the images alone."""
        return self

    def live(self, layer: int) -> slice:
        """The tokens that still count in what leaves block `layer`."""
        return self.vit.path_tokens if self._narrow and layer >= self.vit.depth - 1 else ALL

    def path_tokens(self, layer: int) -> slice:
        """Where the tokens stand among those whose neurons are overwritten."""
        return self.tokens if self.live(layer) == ALL else ALL

    def block(self, layer: int, stream: Tensor, value: Tensor | None = None) -> Tensor:
        """One block: (rows, tokens, features) -> (rows, live tokens, features).

        Args:
            layer: which block.
            stream: what enters it.
            value: (rows, path tokens, width), what is written over its neurons; `None`: nothing is.
        """
        interrupt_point()
        parts = self._parts[layer]
        if parts is None:
            with overwrite(self.vit, {} if value is None else {layer: value}):
                return self.vit.block(layer, stream)
        if value is None and layer in self._compiled:
            return self._compiled[layer](stream)
        stream = self._attended(layer, parts, stream)
        return parts.feed(stream) if value is None else self.fed(layer, stream, value)

    def attended(self, layer: int, stream: Tensor) -> Tensor:
        """The first half of a block in parts: (rows, tokens, features) -> (rows, live tokens, features)."""
        interrupt_point()
        return self._attended(layer, self._known(layer), stream)

    def neurons(self, layer: int, attended: Tensor) -> Tensor:
        """The neurons where they may be overwritten: what `attended` gave -> (rows, tokens there, width)."""
        parts = self._known(layer)
        return parts.up(rules.normalised(parts.norm2, attended[:, self.path_tokens(layer)]))

    def fed(self, layer: int, attended: Tensor, value: Tensor) -> Tensor:
        """The second half: what `attended` gave, with `value` over the neurons -> (rows, live tokens, features)."""
        # Neurons that are overwritten are not computed.
        start, stop, _ = self.path_tokens(layer).indices(attended.shape[1])
        others = (attended[:, :start], attended[:, stop:])
        before, after = ([self._known(layer).feed(other)] if other.shape[1] else [] for other in others)
        return torch.cat([*before, self.written(layer, attended, value), *after], dim=1)

    def written(self, layer: int, attended: Tensor, value: Tensor) -> Tensor:
        """The same for the tokens with the overwritten neurons alone: -> (rows, tokens there, features)."""
        return self._known(layer).down.add(attended[:, self.path_tokens(layer)], value.to(attended.dtype))

    def block_with_tangent(self, layer: int, stream: Tensor, tangent: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """The same, without a graph, and with the derivative along `tangent` beside it."""
        interrupt_point()
        parts, path = self._parts[layer], self.path_tokens(layer)
        if parts is None:
            with overwrite(self.vit, {layer: value}):
                return block_with_tangent(self.vit, layer, stream, tangent)
        with torch.no_grad(), dual_level():
            attended = self._attended(layer, parts, forward_ad.make_dual(stream, tangent.to(stream.dtype)))
            middle = forward_ad.unpack_dual(attended)
            out, along = forward_ad.unpack_dual(attended if path == ALL else parts.feed(attended))
            if along is None or middle.tangent is None:
                raise RuntimeError(f"block {layer} lost its tangent: forward-mode AD is switched off here")
            out[:, path] = parts.down.add(middle.primal[:, path], value.to(out.dtype))
            along[:, path] = middle.tangent[:, path]
        return out, along

    def probability(self, layer: int, stream: Tensor, targets: Tensor) -> Tensor:
        """The target's probability, (rows,), from the stream that enters block `layer`."""
        for index in range(layer, self.vit.depth):
            stream = self.block(index, stream)
        return target_probability(self.vit.head(stream), targets)

    def _known(self, layer: int) -> BlockParts:
        parts = self._parts[layer]
        assert parts is not None, "only where `in_parts`"
        return parts

    def _attended(self, layer: int, parts: BlockParts, stream: Tensor) -> Tensor:
        return parts.attend(stream, self.live(layer))
