"""Rows for several path tokens: each token's derivative of the path comes from the same backward pass."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.rows import Rows
from nplight.neurons import overwrite
from nplight.vit import OpenViT


class GraphRows(Rows):
    """Every row's stream keeps its graph back to a shift, one for each path token, of all the path's neurons there.

    The derivative along a token's shift is the sum of ∂F/∂z over the path at that token, so one backward pass serves
    all tokens and layers. Where a chunk holds all rows, the graph is kept and every block runs once as a prefix; where
    it does not, keeping all graphs would break the bound on memory, and the prefix is run again. Arguments as `Rows`.
    """

    def __init__(
        self, vit: OpenViT, first: Tensor, edited: Tensor, nodes: Tensor, targets: Tensor, chunk_size: int
    ) -> None:
        super().__init__(vit, first, edited, nodes, targets, chunk_size)
        self._corrections: list[tuple[Tensor, Tensor]] = []
        self._values: list[Tensor | None] = []
        self._kept: tuple[Tensor, Tensor] | None = None

    def correct(self, change: Tensor, direction: Tensor) -> None:
        self._corrections.append((change.flatten(0, 1), direction))

    def advance(self, layer: int, value: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self._values.append(value)
        token_gradients, path_gradients = [], []
        for chunk in self.chunks:
            stream, shift = self._leaving(layer, chunk)
            probability = self.probability(layer + 1, stream, chunk)
            gradient, along = torch.autograd.grad(
                probability, (stream, shift), retain_graph=len(self.chunks) == 1, allow_unused=True
            )
            token_gradients.append(gradient[:, self.vit.path_tokens])
            # At the first step there is no path yet, and nothing depends on the shift.
            path_gradients.append(torch.zeros_like(shift) if along is None else along)
            self._kept = (stream, shift) if len(self.chunks) == 1 else None
        return self.gathered(token_gradients), self.gathered(path_gradients)

    def _leaving(self, layer: int, chunk: slice) -> tuple[Tensor, Tensor]:
        """The stream that leaves block `layer`, and the shift it depends on."""
        if self._kept is not None:
            stream, shift = self._kept
            return self._through(layer, stream, shift, chunk), shift
        stream = self.stream[chunk].detach().requires_grad_()
        tokens = len(range(stream.shape[1])[self.vit.path_tokens])
        shift = stream.new_zeros(len(stream), tokens, requires_grad=True)
        for block in range(1, layer + 1):
            stream = self._through(block, stream, shift, chunk)
        return stream, shift

    def _through(self, block: int, stream: Tensor, shift: Tensor, chunk: slice) -> Tensor:
        """From what left the block before, uncorrected, through `block`; after the last, only the correction."""
        change, direction = self._corrections[block - 1]
        stream = self.add(stream, change[chunk] + shift.unsqueeze(2) * self.each(direction, chunk))
        value = self._values[block]
        if value is None:
            return stream
        with overwrite(self.vit, {block: self.scaled(value, chunk)}):
            return self.vit.block(block, stream)
