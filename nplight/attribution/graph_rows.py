"""Rows for several path tokens: each token's derivative of the path comes from the same backward pass."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.engine_rows import EngineRows
from nplight.attribution.node_rows import NodeRows
from nplight.attribution.problem import Problem
from nplight.neurons import replace_tokens


class GraphRows(EngineRows):
    """Every row's stream keeps its graph back to a shift, one for each path token, of all the path's neurons there.

    The derivative along a token's shift is the sum of ∂F/∂z over the path at that token, so one backward pass serves
    all tokens and layers. Where a chunk holds all rows, the graph is kept and every block runs once as a prefix; where
    it does not, keeping all graphs would break the bound on memory, and the prefix is run again.

    Arguments as `EngineRows`.
    """

    def __init__(self, problem: Problem, edited: Tensor) -> None:
        super().__init__(problem, edited)
        self._corrections: list[tuple[Tensor, Tensor]] = []
        self._values: list[Tensor | None] = []
        self._kept: tuple[Tensor, Tensor] | None = None

    def correct(self, change: Tensor, direction: Tensor) -> None:
        self._corrections.append((change.flatten(0, 1), direction))

    def advance(self, layer: int, value: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self._values.append(value)

        def run(rows: NodeRows) -> tuple[Tensor, Tensor]:
            kept, self._kept = self._kept, None
            every = len(rows) == len(self.targets)
            stream, shift = self._leaving(layer, rows, kept if every else None)
            probability = self.passes.probability(layer + 1, stream, self.targets[rows.positions]).sum()
            gradient, along = torch.autograd.grad(probability, (stream, shift), retain_graph=every, allow_unused=True)
            if every:
                self._kept = (stream, shift)
            # At the first step there is no path yet, and nothing depends on the shift.
            along = torch.zeros_like(shift) if along is None else along
            return gradient[:, self.passes.path_tokens(layer)].clone(), along

        return self.in_chunks(run)

    def _leaving(self, layer: int, rows: NodeRows, kept: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        """The stream that leaves block `layer`, and the shift it depends on; `kept`: those of the block before."""
        if kept is not None:
            stream, shift = kept
            return self._through(layer, stream, shift, rows), shift
        stream = self.stream[rows.positions, self.passes.live(0)].detach().requires_grad_()
        tokens = stream[:, self.passes.path_tokens(0)].shape[1]
        shift = stream.new_zeros(len(stream), tokens, requires_grad=True)
        for block in range(1, layer + 1):
            stream = self._through(block, stream, shift, rows)
        return stream, shift

    def _through(self, block: int, stream: Tensor, shift: Tensor, rows: NodeRows) -> Tensor:
        """From what left the block before, uncorrected, through `block`; after the last, only the correction."""
        change, direction = self._corrections[block - 1]
        tokens = self.passes.path_tokens(block - 1)
        correction = change[rows.positions] + shift.unsqueeze(2) * rows.each(direction)
        stream = replace_tokens(stream, tokens, stream[:, tokens] + correction.to(stream.dtype))
        value = self._values[block]
        return stream if value is None else self.passes.block(block, stream, self.scaled(value, rows))
