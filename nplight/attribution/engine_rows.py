"""The base class of the fast engine's node rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from nplight.attribution.node_rows import NodeRows
from nplight.attribution.objective import at_least_float32
from nplight.attribution.problem import Problem


class EngineRows(ABC):
    """The residual stream of every node row, ordered by image; every `advance` runs the next block.

    Args:
        problem: the search.
        edited: (images, nodes, path tokens, features), added by the first edit to the stream that leaves block 0 on the
            clean pass. All nodes are equal before that edit, so that the embedding and block 0 run once per image.
    """

    def __init__(self, problem: Problem, edited: Tensor) -> None:
        first, self.nodes = problem.clean.first, problem.nodes
        self.problem = problem
        self.runner = problem.runner
        self.shape = (len(first), len(self.nodes))
        self.targets = problem.targets.repeat_interleave(len(self.nodes))
        self.stream = first.repeat_interleave(len(self.nodes), dim=0)
        self.stream[:, problem.vit.path_tokens] += edited.flatten(0, 1).to(first.dtype)

    @abstractmethod
    def correct(self, change: Tensor, direction: Tensor) -> None:
        """Edit the stream that left the last block at the path tokens.

        Args:
            change: (images, nodes, path tokens, features), added to it.
            direction: (images, path tokens, features), added to the direction of the path's derivative.
        """

    def pass_by(self, layer: int, value: Tensor) -> None:
        """As `advance` without derivatives; block 0 has run already."""
        raise NotImplementedError

    def keep(self, problem: Problem, images: Tensor) -> None:
        """Go on with some of the images.

        Args:
            problem: the search of these images.
            images: (images,) int64, positions among all.
        """
        self.problem = problem
        self.runner = problem.runner
        self.shape = (len(images), self.shape[1])
        self.targets = problem.targets.repeat_interleave(self.shape[1])
        self.stream = self.stream[self.rows_of(images)]

    def rows_of(self, images: Tensor) -> Tensor:
        """The positions of the node rows of some images, (rows,)."""
        count = self.shape[1]
        return (images[:, None] * count + torch.arange(count, device=images.device)).flatten()

    @abstractmethod
    def advance(self, layer: int, value: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run block `layer` with its neurons at alpha times `value`, and differentiate the blocks after it.

        Args:
            layer: which block; block 0 has run already, and after the last block only the head is differentiated.
            value: (images, path tokens, width), the clean neurons of the block.

        Returns:
            The gradient of the objective on the path tokens of the stream that leaves the block, (images,
            nodes, path tokens, features), and its derivative along the direction, (images, nodes, path tokens).
        """

    def scaled(self, value: Tensor, rows: NodeRows) -> Tensor:
        """Clean neurons (images, path tokens, width) times the alpha of each row: (rows, path tokens, width)."""
        return rows.each(value) * rows.alpha(self.nodes)[:, None, None]

    def in_chunks(self, run: Callable[[NodeRows], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """The two results of `run` for all node rows, as (images, nodes, …), float32 at least."""
        parts = zip(*(result for _, result in self.problem.in_chunks(run)))
        first, second = (at_least_float32(torch.cat(part)).unflatten(0, self.shape) for part in parts)
        return first, second
