"""Running the blocks of an opened model: in parts where a block is known in parts, as a whole otherwise.

Parts skip what the result does not depend on: the neurons that are overwritten, and, in the last block of a model whose
head reads only the path tokens, all other tokens.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd import forward_ad

from nplight.attribution.compiled import compiled
from nplight.attribution.jvp import block_jvp, dual_level, lost_tangent
from nplight.attribution.objective import ObjectiveFunction, at_least_float32, target_probability
from nplight.neurons import at_sites, overwrite
from nplight.vit import BlockParts, OpenViT, dual_ops, interrupt_point, is_compiled
from nplight.vit.parts import ALL


class BlockRunner:
    """Runs the blocks of one model; valid until a hook is added to or removed from the model.

    Blocks compiled in place (`block.compile()`) run compiled unless their neurons are overwritten.

    Args:
        vit: the opened model, undisturbed.
        tokens: the tokens at which neurons are overwritten; `None`: the path tokens.
        objective: what is attributed.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.attribution import BlockRunner
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit = nplight.open_vit(planted.model)
        >>> runner, stream = BlockRunner(vit), vit.embed(planted.images)
        >>> torch.allclose(runner.block(0, stream), vit.block(0, stream))
        True
    """

    def __init__(
        self, vit: OpenViT, tokens: slice | None = None, *, objective: ObjectiveFunction = target_probability
    ) -> None:
        self.vit = vit
        self._objective = objective
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
        """Whether every block is known in parts, as `attended`, `neurons`, `fed` and `written` require."""
        return None not in self._parts

    def of(self, images: slice) -> BlockRunner:
        """The block runner for the node rows of a slice of the images."""
        return self

    def live(self, layer: int) -> slice:
        """The tokens of the output of block `layer` on which the logits depend."""
        return self.vit.path_tokens if self._narrow and layer >= self.vit.depth - 1 else ALL

    def path_tokens(self, layer: int) -> slice:
        """The tokens whose neurons are overwritten, as positions among the live tokens of block `layer`."""
        return self.tokens if self.live(layer) == ALL else ALL

    def block(self, layer: int, stream: Tensor, value: Tensor | None = None) -> Tensor:
        """One block: (rows, tokens, features) -> (rows, live tokens, features).

        Args:
            layer: which block.
            stream: the stream that enters it.
            value: (rows, path tokens, width), written over its neurons; `None`: its neurons are not overwritten.
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

    def edited(self, layer: int, stream: Tensor, edit: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """One block whose neurons are computed and then edited.

        Args:
            layer: which block.
            stream: (rows, tokens, features), the stream that enters it.
            edit: takes the neurons (rows, path tokens, width), float32 at least, and returns what takes their place.

        Returns:
            The stream that leaves the block, (rows, live tokens, features), and the neurons before the edit.
        """
        interrupt_point()
        parts = self._parts[layer]
        if parts is not None:
            attended = self._attended(layer, parts, stream)
            values = at_least_float32(self.neurons(layer, attended))
            return self.fed(layer, attended, edit(values)), values
        recorded = []

        def record_and_edit(values: Tensor) -> Tensor:
            recorded.append(at_least_float32(values))
            return edit(recorded[0]).to(values.dtype)

        with at_sites(self.vit, {layer: record_and_edit}):
            leaving = self.vit.block(layer, stream)
        return leaving, recorded[0]

    def attended(self, layer: int, stream: Tensor) -> Tensor:
        """The first half of a block in parts: (rows, tokens, features) -> (rows, live tokens, features)."""
        interrupt_point()
        return self._attended(layer, self._parts_of(layer), stream)

    def neurons(self, layer: int, attended: Tensor) -> Tensor:
        """The neurons at `tokens`: the output of `attended` -> (rows, tokens, width)."""
        parts = self._parts_of(layer)
        return parts.up(dual_ops.normalised(parts.norm2, attended[:, self.path_tokens(layer)]))

    def fed(self, layer: int, attended: Tensor, value: Tensor) -> Tensor:
        """The second half of a block, `value` written over its neurons.

        Args:
            layer: which block.
            attended: (rows, live tokens, features), the output of `attended`.
            value: (rows, tokens, width).

        Returns:
            (rows, live tokens, features).
        """
        parts = self._parts_of(layer)
        # Neurons that are overwritten are not computed.
        start, stop, _ = self.path_tokens(layer).indices(attended.shape[1])
        around = (attended[:, :start], attended[:, stop:])
        before, after = ([parts.feed(tokens)] if tokens.shape[1] else [] for tokens in around)
        return torch.cat([*before, self.written(layer, attended, value), *after], dim=1)

    def written(self, layer: int, attended: Tensor, value: Tensor) -> Tensor:
        """As `fed`, for `tokens` only: (rows, tokens, features)."""
        return self._parts_of(layer).down.add(attended[:, self.path_tokens(layer)], value.to(attended.dtype))

    def block_jvp(self, layer: int, stream: Tensor, tangent: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """One block and its JVP, without a graph.

        Args:
            layer: which block.
            stream: (rows, tokens, features), the stream that enters it.
            tangent: as `stream`, the direction of the derivative.
            value: (rows, path tokens, width), written over its neurons.

        Returns:
            The stream that leaves the block and its derivative along `tangent`, (rows, live tokens, features) each.

        Raises:
            RuntimeError: forward-mode AD is disabled.
        """
        interrupt_point()
        parts, path = self._parts[layer], self.path_tokens(layer)
        if parts is None:
            with overwrite(self.vit, {layer: value}):
                return block_jvp(self.vit, layer, stream, tangent)
        with torch.no_grad(), dual_level():
            attended = self._attended(layer, parts, forward_ad.make_dual(stream, tangent.to(stream.dtype)))
            middle = forward_ad.unpack_dual(attended)
            out, out_tangent = forward_ad.unpack_dual(attended if path == ALL else parts.feed(attended))
            if out_tangent is None or middle.tangent is None:
                raise lost_tangent(layer)
            out[:, path] = parts.down.add(middle.primal[:, path], value.to(out.dtype))
            out_tangent[:, path] = middle.tangent[:, path]
        return out, out_tangent

    def objective(self, layer: int, stream: Tensor, targets: Tensor) -> Tensor:
        """The objective, (rows,), from the stream that enters block `layer`, (rows, tokens, features)."""
        for index in range(layer, self.vit.depth):
            stream = self.block(index, stream)
        return self._objective(self.vit.head(stream), targets)

    def _parts_of(self, layer: int) -> BlockParts:
        parts = self._parts[layer]
        if parts is None:
            raise RuntimeError(f"block {layer} is not known in parts; check `in_parts` first, or run it by `block`")
        return parts

    def _attended(self, layer: int, parts: BlockParts, stream: Tensor) -> Tensor:
        return parts.attend(stream, self.live(layer))
