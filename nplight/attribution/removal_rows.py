"""The streams of images whose path is removed layer by layer, and what removing one more neuron does."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.node_rows import NodeRows
from nplight.attribution.objective import at_least_float32
from nplight.attribution.problem import Problem


class RemovalRows:
    """One row per image: the stream that leaves a layer with the path so far at 0, all other neurons free.

    Args:
        problem: the search.

    Examples:
        >>> import nplight
        >>> from nplight.attribution import Problem, RemovalRows, clean_pass, quadrature
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, clean = nplight.open_vit(planted.model), clean_pass(nplight.open_vit(planted.model), planted.images)
        >>> nodes, weights = (values.to(planted.images) for values in quadrature(20, "riemann-left"))
        >>> problem = Problem(vit, clean, planted.labels, nodes, weights, chunk_size=64)
        >>> rows = RemovalRows(problem)
        >>> rows.enter(0)
        >>> changes = rows.changes(planted.paths[:, 0])
        >>> changes.shape  # (images, candidates)
        torch.Size([16, 1])
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._runner = problem.runner
        self._layer = 0
        self._stream = problem.clean.first.clone()
        self._values = problem.clean.values[0]  # of the layer, (images, path tokens, width)

    def enter(self, layer: int) -> None:
        """Run a layer, after all before it; nothing is removed in it yet."""
        self._layer = layer
        if layer == 0:
            return
        streams, values = [], []
        with torch.no_grad():
            for _, (stream, neurons) in self._problem.in_chunks(self._entered, nodes=1):
                streams.append(stream)
                values.append(neurons)
        self._stream, self._values = torch.cat(streams), torch.cat(values)

    def changes(self, candidates: Tensor) -> Tensor:
        """How much removing each candidate (images, candidates) lowers the objective; of the same shape.

        A neuron that is 0 already at all path tokens, as half of a ReLU's are, changes it by 0, without a pass.
        """
        silent = (self._values == 0).all(1).gather(1, candidates)
        order = silent.byte().argsort(dim=1, stable=True)
        passes = int((~silent).sum(1).max())
        changes = self._measured(candidates.gather(1, order)[:, :passes])
        changes = torch.cat([changes, changes.new_zeros(len(changes), candidates.shape[1] - passes)], 1)
        return torch.empty_like(changes).scatter(1, order, changes).masked_fill(silent, 0)

    def _measured(self, candidates: Tensor) -> Tensor:
        """`changes` by one forward pass per image and candidate."""
        problem, layer, runner = self._problem, self._layer, self._runner
        down, tokens = problem.vit.down[layer], runner.path_tokens(layer)
        # The first row of an image has nothing more removed: only of rows of one pass the difference is exact.
        neurons = torch.cat([candidates.new_zeros(len(candidates), 1), candidates], 1)
        removed = torch.ones_like(neurons)
        removed[:, 0] = 0

        def run(rows: NodeRows) -> Tensor:
            values = rows.each(self._values)
            index = neurons[rows.images, rows.nodes].reshape(-1, 1, 1).expand(-1, values.shape[1], -1)
            change = values.gather(2, index) * removed[rows.images, rows.nodes].reshape(-1, 1, 1)
            stream = rows.each(self._stream)[:, runner.live(layer)].clone()
            stream[:, tokens] -= down.increment(torch.zeros_like(values).scatter(2, index, change)).to(stream.dtype)
            return runner.of(rows.images).objective(layer + 1, stream, rows.each(problem.targets))

        with torch.no_grad():
            parts = [part for _, part in problem.in_chunks(run, nodes=neurons.shape[1])]
        objectives = at_least_float32(torch.cat(parts)).view(neurons.shape)
        return objectives[:, :1] - objectives[:, 1:]

    def remove(self, neurons: Tensor) -> None:
        """Remove one more neuron of the layer from every image's stream: (images,)."""
        down, tokens = self._problem.vit.down[self._layer], self._runner.path_tokens(self._layer)
        index = neurons.view(-1, 1, 1).expand(-1, self._values.shape[1], -1)
        removed = torch.zeros_like(self._values).scatter(2, index, self._values.gather(2, index))
        stream = self._stream.clone()
        stream[:, tokens] -= down.increment(removed).to(stream.dtype)
        self._stream = stream
        self._values = self._values.scatter(2, index, 0)

    def _entered(self, rows: NodeRows) -> tuple[Tensor, Tensor]:
        return self._runner.of(rows.images).edited(self._layer, self._stream[rows.positions], lambda values: values)
