"""The argument of every search method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from nplight.attribution.block_runner import BlockRunner
from nplight.attribution.chunk import in_chunks
from nplight.attribution.clean import CleanPass
from nplight.attribution.frozen import runner_over
from nplight.attribution.gauss_rules import GaussRule, gauss_rule
from nplight.attribution.mapped_rule import mapped_rule
from nplight.attribution.node_rows import NodeRows
from nplight.attribution.objective import ObjectiveFunction, at_least_float32, target_probability
from nplight.attribution.quadrature import integral
from nplight.path_checks import Tokens
from nplight.vit import OpenViT

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Problem:
    """The search for the paths of one group of images, for any method.

    Attributes:
        vit: the opened model, undisturbed; its path tokens are those at which neurons are read and edited.
        clean: the clean pass of the images; a `FrozenPass` for a frozen patch stream.
        targets: (images,) int64, the category that is attributed.
        nodes: (m,) quadrature nodes, of the dtype and device of the clean neurons; (images, n) with
            `with_mapped_nodes`.
        weights: quadrature weights, as `nodes`.
        chunk_size: node rows in flight in a differentiated pass.
        rule: the name of the rule of `nodes`, one of `RULES`.
        top_k: neurons per layer on the path, K.
        ranked: candidates per layer to return, R.
        seed: for methods that draw random numbers.
        candidates: for methods that measure candidates, how many per layer.
        objective: what is attributed, F: logits (rows, categories) and targets (rows,) -> (rows,).
        tolerance: relative error of the scores up to which fewer nodes may stand for all of them; 0: every node.
        polynomials: (…, n, n), where `nodes` are the n of a Gauss rule; see `GaussRule`.
        steps: nodes of the rule, m, also where `nodes` are those of a Gauss rule.
        tokens: what the path tokens of `vit` are: `path`, the model's own; or `all`.
        blocks: runs the blocks at all tokens; made once for all parts of the search, since looking for hooks takes
            time. `None`: make it.

    Examples:
        >>> import nplight
        >>> from nplight.attribution import Problem, clean_pass, quadrature
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, clean = nplight.open_vit(planted.model), clean_pass(nplight.open_vit(planted.model), planted.images)
        >>> nodes, weights = (values.to(planted.images) for values in quadrature(20, "riemann-left"))
        >>> problem = Problem(vit, clean, planted.labels, nodes, weights, chunk_size=64)
        >>> problem.nodes.shape, problem.with_nodes(4).nodes.shape
        (torch.Size([20]), torch.Size([4]))
    """

    vit: OpenViT
    clean: CleanPass
    targets: Tensor
    nodes: Tensor
    weights: Tensor
    chunk_size: int
    rule: str = "riemann-left"
    top_k: int = 1
    ranked: int = 1
    seed: int = 0
    candidates: int = 20
    objective: ObjectiveFunction = target_probability
    tolerance: float = 0.0
    polynomials: Tensor | None = None
    steps: int = 0
    tokens: Tokens = "path"
    blocks: BlockRunner | None = None

    def __post_init__(self) -> None:
        if not self.steps:
            object.__setattr__(self, "steps", self.nodes.shape[-1])
        if self.blocks is None:
            object.__setattr__(self, "blocks", self._blocks())

    @property
    def runner(self) -> BlockRunner:
        """The block runner of these images."""
        return runner_over(self.blocks or self._blocks(), self.clean)

    def _blocks(self) -> BlockRunner:
        return BlockRunner(self.vit, objective=self.objective)

    def with_nodes(self, count: int) -> Problem:
        """The same search with the `count` nodes of the Gauss rule of its rule; with `steps` nodes, itself."""
        return self if count == self.steps else self._with(gauss_rule(count, self.steps, self.rule))

    def with_mapped_nodes(self, count: int) -> Problem:
        """As `with_nodes` for layer 0, with nodes of each image's own; see `mapped_rule`."""
        token = self.vit.path_tokens
        values = self.clean.values[0]
        if count == self.steps or values.shape[1] > 1:
            return self.with_nodes(count)
        output = self.vit.down[0].increment(values)[:, 0]
        without = at_least_float32(self.clean.first[:, token])[:, 0] - output
        return self._with(mapped_rule(without, output, count, self.steps, self.rule))

    def _with(self, gauss: GaussRule) -> Problem:
        nodes, weights, polynomials = (
            values.to(self.nodes) for values in (gauss.nodes, gauss.weights, gauss.polynomials)
        )
        return replace(self, nodes=nodes, weights=weights, polynomials=polynomials)

    def of(self, images: Tensor) -> Problem:
        """The same search of some of the images: (images,) int64, positions."""
        own = self.nodes.ndim == 2
        return replace(
            self,
            clean=self.clean.of(images),
            targets=self.targets[images],
            nodes=self.nodes[images] if own else self.nodes,
            weights=self.weights[images] if own else self.weights,
            polynomials=self.polynomials[images] if own and self.polynomials is not None else self.polynomials,
        )

    def sums(self, values: Tensor, rows: NodeRows | None = None) -> Tensor:
        """The sum over the nodes and what its error is estimated from: (images, nodes, …) -> (images, sums, …).

        Args:
            values: of all node rows, or of those of a chunk; the sums of several chunks of an image add up.
            rows: the chunk.

        Returns:
            The coefficients of the values in the rule's orthonormal polynomials, of which the first is the sum itself;
            with every node, the sum alone.
        """
        weights = self.weights.unsqueeze(-2) if self.polynomials is None else self.polynomials
        if rows is not None:
            weights = weights[..., rows.nodes]
            weights = weights[rows.images] if weights.ndim == 3 else weights
        return torch.stack([integral(one, values) for one in weights.unbind(-2)], 1)

    def summed(self, chunks: Iterable[tuple[NodeRows, Tensor]]) -> Tensor:
        """`sums` of values that come chunk by chunk, (rows, …) each: (images, sums, …)."""
        (total,) = self.summed_layers((rows, [values]) for rows, values in chunks)
        return total

    def summed_layers(self, chunks: Iterable[tuple[NodeRows, Sequence[Tensor]]]) -> list[Tensor]:
        """As `summed` for several values of each row, such as one per layer."""
        totals: list[Tensor] = []
        for rows, several in chunks:
            parts = [self.sums(rows.unflatten(values), rows) for values in several]
            totals = totals or [part.new_zeros(len(self.targets), *part.shape[1:]) for part in parts]
            for total, part in zip(totals, parts):
                total[rows.images] += part
        return totals

    def in_chunks(
        self, run: Callable[[NodeRows], Result], nodes: int | None = None
    ) -> Iterator[tuple[NodeRows, Result]]:
        """Call `run` on all node rows, at most `chunk_size` rows at a time; see `chunk.in_chunks`.

        Args:
            run: takes the node rows of a chunk; without side effects, as it is called again with fewer of them after it
                ran out of memory.
            nodes: nodes per image; `None`: m.
        """
        shape = (len(self.targets), self.nodes.shape[-1] if nodes is None else nodes)
        return in_chunks(self.vit, shape, self.chunk_size, run)
