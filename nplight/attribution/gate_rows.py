"""Node rows whose neurons are gated: every neuron has a gate, 1 at rest, that multiplies its running value.

At step l the forward pass up to block l-1 has the gates of the path chosen so far at α, so that every node row keeps
the stream that enters block l. Block l runs once with all its gates at α, and the blocks after it are differentiated.
∂F/∂gate is the running value of the neuron times ∂F/∂z, summed over the path tokens. Neurons off the path run free, as
they do under a removal; no derivative along the path is needed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.node_rows import NodeRows
from nplight.attribution.objective import at_least_float32
from nplight.attribution.problem import Problem
from nplight.neurons import path_masks


class GateRows:
    """The residual stream of every node row, ordered by image, with the gates of the path so far at α.

    Args:
        problem: the search.
        held: whether the other neurons of the path's layers are held at their clean values, as in the paper's score;
            else they run free.
        positive: whether a derivative below 0 counts as 0, at each node.

    Examples:
        >>> import nplight
        >>> from nplight.attribution import GateRows, Problem, clean_pass, quadrature
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, clean = nplight.open_vit(planted.model), clean_pass(nplight.open_vit(planted.model), planted.images)
        >>> nodes, weights = (values.to(planted.images) for values in quadrature(20, "riemann-left"))
        >>> problem = Problem(vit, clean, planted.labels, nodes, weights, chunk_size=64)
        >>> rows = GateRows(problem)
        >>> rows.scores(0).argmax(1).eq(planted.paths[:, 0, 0]).all()
        tensor(True)
        >>> rows.advance(0, planted.paths[:, 0])
        >>> rows.scores(1).argmax(1).eq(planted.paths[:, 1, 0]).all()
        tensor(True)
    """

    def __init__(self, problem: Problem, *, held: bool = False, positive: bool = False) -> None:
        self._problem = problem
        self._held = held
        self._positive = positive
        self._runner = problem.runner
        self._stream = problem.clean.first.repeat_interleave(problem.nodes.shape[-1], dim=0)
        self._values = torch.empty(0)  # of the last layer that ran, before its gates: (rows, path tokens, width)

    def scores(self, layer: int) -> Tensor:
        """Σ_k ω_k ∂F/∂gate of every neuron of a layer, with all gates of the layer at α: (images, width).

        The layers before it must have been passed, each by `keep` after `scores`, or by `advance`.
        """
        return self.sums(layer)[:, 0]

    def sums(self, layer: int) -> Tensor:
        """`Problem.sums` of the scores, (images, sums, width); as `scores`."""
        problem, tokens = self._problem, self._runner.path_tokens(layer)
        down, live = problem.vit.down[layer], self._runner.live(layer)
        self._values = self._empty_values(layer)

        def run(rows: NodeRows) -> Tensor:
            runner = self._runner.of(rows.images)
            stream, values = self._run(layer, rows, self._alpha(rows))
            leaf = stream.detach().requires_grad_()
            objective = runner.objective(layer + 1, leaf, rows.each(problem.targets)).sum()
            (gradient,) = torch.autograd.grad(objective, leaf)
            per_gate = values * down.pull_back(at_least_float32(gradient[:, tokens]))
            # Last: a chunk that runs out of memory runs again, from the streams as they were.
            self._stream[rows.positions, live], self._values[rows.positions] = stream, values
            derivative = per_gate.sum(1)
            return derivative.relu() if self._positive else derivative

        return problem.summed(problem.in_chunks(run))

    def restrict(self, problem: Problem, images: Tensor) -> None:
        """Go on with some of the images: the search of these, and their positions (images,) int64."""
        count = problem.nodes.shape[-1]
        rows = (images[:, None] * count + torch.arange(count, device=images.device)).flatten()
        self._problem = problem
        self._runner = problem.runner
        self._stream = self._stream[rows]
        self._values = self._values[rows] if len(self._values) else self._values

    def keep(self, layer: int, path: Tensor) -> None:
        """After `scores`: only the gates of the path (images, K) of the layer stay at α, the others open again."""
        vit, nodes = self._problem.vit, self._problem.nodes
        (mask,) = path_masks(path.unsqueeze(1), vit.widths[layer : layer + 1])
        opened = 1 - nodes.repeat(len(path))[:, None, None]
        off_path = ~mask.repeat_interleave(len(nodes), dim=0).unsqueeze(1)
        change = vit.down[layer].increment(self._values * off_path * opened)
        self._stream[:, vit.path_tokens] += change.to(self._stream.dtype)

    def advance(self, layer: int, path: Tensor) -> None:
        """Run a layer with the gates of the path (images, K) at α, without scores."""
        live = self._runner.live(layer)
        (mask,) = path_masks(path.unsqueeze(1), self._problem.vit.widths[layer : layer + 1])

        def run(rows: NodeRows) -> None:
            alpha = self._alpha(rows)
            gates = torch.where(rows.each(mask).unsqueeze(1), alpha, torch.ones_like(alpha))
            self._stream[rows.positions, live] = self._run(layer, rows, gates)[0]

        for _ in self._problem.in_chunks(run):
            pass

    @torch.no_grad()
    def _run(self, layer: int, rows: NodeRows, gates: Tensor) -> tuple[Tensor, Tensor]:
        """The stream that leaves a block, (rows, live tokens, features), and its neurons before the gates."""
        clean, down = rows.each(self._problem.clean.values[layer]), self._problem.vit.down[layer]
        runner, stream = self._runner.of(rows.images), self._stream[rows.positions]
        if layer == 0:
            # Before the neurons of block 0 every node equals the clean pass; the output of block 0 is affine in them.
            stream, tokens = stream[:, runner.live(0)].clone(), runner.path_tokens(0)
            stream[:, tokens] += down.increment(clean * (gates - 1)).to(stream.dtype)
            return stream, clean
        if self._held:
            return runner.block(layer, stream, clean * gates), clean
        return runner.edited(layer, stream, lambda values: values * gates)

    def _alpha(self, rows: NodeRows) -> Tensor:
        return rows.alpha(self._problem.nodes)[:, None, None]

    def _empty_values(self, layer: int) -> Tensor:
        clean = self._problem.clean.values[layer]
        return clean.new_empty(len(self._stream), *clean.shape[1:])
