"""The engine's node rows for one path token: the path's derivative is a JVP, advanced with the stream."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.engine_rows import EngineRows
from nplight.attribution.node_rows import NodeRows
from nplight.attribution.objective import at_least_float32
from nplight.attribution.problem import Problem


class JVPRows(EngineRows):
    """Node rows that hold the stream and its tangent in the direction "1 at every path neuron".

    Only the blocks after the searched one are differentiated: no graph is kept between steps.

    Args: as `EngineRows`.
    """

    def __init__(self, problem: Problem, edited: Tensor) -> None:
        super().__init__(problem, edited)
        self._tangent = torch.zeros_like(self.stream)

    def correct(self, change: Tensor, direction: Tensor) -> None:
        tokens = self.runner.vit.path_tokens
        self.stream[:, tokens] += change.flatten(0, 1).to(self.stream.dtype)
        self._tangent[:, tokens] += direction.repeat_interleave(self.shape[1], dim=0).to(self._tangent.dtype)

    def keep(self, problem: Problem, images: Tensor) -> None:
        self._tangent = self._tangent[self.rows_of(images)]
        super().keep(problem, images)

    def pass_by(self, layer: int, value: Tensor) -> None:
        live = self.runner.live(layer)

        def run(rows: NodeRows) -> None:
            chunk = rows.positions
            entering = self.stream[chunk], self._tangent[chunk]
            leaving = self.runner.of(rows.images).block_jvp(layer, *entering, self.scaled(value, rows))
            self.stream[chunk, live], self._tangent[chunk, live] = leaving

        if layer > 0:
            for _ in self.problem.in_chunks(run):
                pass

    def advance(self, layer: int, value: Tensor | None = None) -> tuple[Tensor, Tensor]:
        live, tokens = self.runner.live(layer), self.runner.path_tokens(layer)

        def run(rows: NodeRows) -> tuple[Tensor, Tensor]:
            runner, chunk = self.runner.of(rows.images), rows.positions
            if layer > 0 and value is not None:
                entering = self.stream[chunk], self._tangent[chunk]
                stream, tangent = runner.block_jvp(layer, *entering, self.scaled(value, rows))
            else:
                stream, tangent = self.stream[chunk, live], self._tangent[chunk, live]
            leaf = stream.detach().requires_grad_()
            objective = runner.objective(layer + 1, leaf, self.targets[chunk]).sum()
            (gradient,) = torch.autograd.grad(objective, leaf)
            # Last: a chunk that runs out of memory runs again, from the streams as they were.
            self.stream[chunk, live], self._tangent[chunk, live] = stream, tangent
            path_gradient = (at_least_float32(gradient) * tangent).sum((1, 2))
            # A copy: a view would keep the gradients of all tokens.
            return gradient[:, tokens].clone(), path_gradient.unsqueeze(1)

        return self.in_chunks(run)
