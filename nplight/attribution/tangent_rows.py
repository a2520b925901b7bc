"""Rows for one path token: the path's derivative is carried along as a tangent of the stream."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.clean import at_least_float32
from nplight.attribution.engine_rows import EngineRows
from nplight.attribution.node_rows import NodeRows
from nplight.attribution.problem import Problem


class TangentRows(EngineRows):
    """Every row holds its stream and the tangent of it in the direction "1 at every path neuron".

    Only the blocks after the searched one are differentiated: no graph is kept from step to step.

    Arguments as `EngineRows`.
    """

    def __init__(self, problem: Problem, edited: Tensor) -> None:
        super().__init__(problem, edited)
        self._tangent = torch.zeros_like(self.stream)

    def correct(self, change: Tensor, direction: Tensor) -> None:
        tokens = self.passes.vit.path_tokens
        self.stream[:, tokens] += change.flatten(0, 1).to(self.stream.dtype)
        self._tangent[:, tokens] += direction.repeat_interleave(self.shape[1], dim=0).to(self._tangent.dtype)

    def advance(self, layer: int, value: Tensor | None = None) -> tuple[Tensor, Tensor]:
        live, tokens = self.passes.live(layer), self.passes.path_tokens(layer)

        def run(rows: NodeRows) -> tuple[Tensor, Tensor]:
            passes, chunk = self.passes.of(rows.images), rows.positions
            if layer > 0 and value is not None:
                entering = self.stream[chunk], self._tangent[chunk]
                stream, tangent = passes.block_with_tangent(layer, *entering, self.scaled(value, rows))
            else:
                stream, tangent = self.stream[chunk, live], self._tangent[chunk, live]
            leaf = stream.detach().requires_grad_()
            probability = passes.probability(layer + 1, leaf, self.targets[chunk]).sum()
            (gradient,) = torch.autograd.grad(probability, leaf)
            # Not before all has gone well: a chunk that runs out of memory runs again.
            self.stream[chunk, live], self._tangent[chunk, live] = stream, tangent
            along = (at_least_float32(gradient) * tangent).sum((1, 2))
            # A copy: a view would keep the gradients of all tokens.
            return gradient[:, tokens].clone(), along.unsqueeze(1)

        return self.in_chunks(run)
