"""The argument of every search method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from nplight.attribution.chunk import in_chunks
from nplight.attribution.clean import CleanPass
from nplight.attribution.node_rows import NodeRows
from nplight.attribution.objective import ObjectiveFunction, target_probability
from nplight.vit import OpenViT

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Problem:
    """The search for the paths of one group of images, for any method.

    Attributes:
        vit: the opened model, undisturbed.
        clean: the clean pass of the images; a `FrozenPass` for a frozen patch stream.
        targets: (images,) int64, the category that is attributed.
        nodes: (m,) quadrature nodes, of the dtype and device of the clean neurons.
        weights: (m,) quadrature weights, as `nodes`.
        chunk_size: node rows in flight in a differentiated pass.
        rule: the name of the rule of `nodes`, one of `RULES`.
        top_k: neurons per layer on the path, K.
        ranked: candidates per layer to return, R.
        seed: for methods that draw random numbers.
        candidates: for methods that measure candidates, how many per layer.
        objective: what is attributed, F: logits (rows, categories) and targets (rows,) -> (rows,).
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

    def in_chunks(
        self, run: Callable[[NodeRows], Result], nodes: int | None = None
    ) -> Iterator[tuple[NodeRows, Result]]:
        """Call `run` on all node rows, at most `chunk_size` rows at a time; see `chunk.in_chunks`.

        Args:
            run: takes the node rows of a chunk; without side effects, as it is called again with fewer of them after it
                ran out of memory.
            nodes: nodes per image; `None`: m.
        """
        shape = (len(self.targets), len(self.nodes) if nodes is None else nodes)
        return in_chunks(self.vit, shape, self.chunk_size, run)
