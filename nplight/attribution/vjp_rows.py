"""The engine's node rows for several path tokens: the path's derivative per token is a VJP."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.engine_rows import EngineRows
from nplight.attribution.node_rows import NodeRows
from nplight.attribution.problem import Problem
from nplight.neurons import replace_tokens


class VJPRows(EngineRows):
    """Node rows whose stream is differentiated with respect to an offset, one per path token.

    The offset of a token is added to all path neurons at that token, so that its gradient is the sum of ∂F/∂z over the
    path there: one backward pass serves all tokens and layers. If one chunk holds all node rows, the graph is kept and
    every block runs once as a prefix. Otherwise the prefix is run again for each chunk: keeping the graphs of all
    chunks would exceed the bound on memory.

    Args: as `EngineRows`.
    """

    def __init__(self, problem: Problem, edited: Tensor) -> None:
        super().__init__(problem, edited)
        self._corrections: list[tuple[Tensor, Tensor]] = []
        self._values: list[Tensor | None] = []
        self._graph: tuple[Tensor, Tensor] | None = None

    def correct(self, change: Tensor, direction: Tensor) -> None:
        self._corrections.append((change.flatten(0, 1), direction))

    def keep(self, problem: Problem, images: Tensor) -> None:
        rows = self.rows_of(images)
        self._corrections = [(change[rows], direction[images]) for change, direction in self._corrections]
        self._values = [value if value is None else value[images] for value in self._values]
        self._graph = None
        super().keep(problem, images)

    def pass_by(self, layer: int, value: Tensor) -> None:
        self._values.append(value)

    def advance(self, layer: int, value: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self._values.append(value)

        def run(rows: NodeRows) -> tuple[Tensor, Tensor]:
            graph, self._graph = self._graph, None
            single_chunk = len(rows) == len(self.targets)
            stream, offset = self._leaving(layer, rows, graph if single_chunk else None)
            objective = self.runner.objective(layer + 1, stream, self.targets[rows.positions]).sum()
            gradient, path_gradient = torch.autograd.grad(
                objective, (stream, offset), retain_graph=single_chunk, allow_unused=True
            )
            if single_chunk:
                self._graph = (stream, offset)
            # At the first step there is no path yet, and nothing depends on the offset.
            path_gradient = torch.zeros_like(offset) if path_gradient is None else path_gradient
            return gradient[:, self.runner.path_tokens(layer)].clone(), path_gradient

        return self.in_chunks(run)

    def _leaving(self, layer: int, rows: NodeRows, graph: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
        """The stream that leaves block `layer`, and the offset it depends on; `graph`: those of the block before."""
        if graph is not None:
            stream, offset = graph
            return self._through(layer, stream, offset, rows), offset
        stream = self.stream[rows.positions, self.runner.live(0)].detach().requires_grad_()
        tokens = stream[:, self.runner.path_tokens(0)].shape[1]
        offset = stream.new_zeros(len(stream), tokens, requires_grad=True)
        for block in range(1, layer + 1):
            stream = self._through(block, stream, offset, rows)
        return stream, offset

    def _through(self, block: int, stream: Tensor, offset: Tensor, rows: NodeRows) -> Tensor:
        """Correct the stream that left the block before, and run `block`; after the last there is none to run."""
        change, direction = self._corrections[block - 1]
        tokens = self.runner.path_tokens(block - 1)
        correction = change[rows.positions] + offset.unsqueeze(2) * rows.each(direction)
        stream = replace_tokens(stream, tokens, stream[:, tokens] + correction.to(stream.dtype))
        value = self._values[block]
        return stream if value is None else self.runner.block(block, stream, self.scaled(value, rows))
