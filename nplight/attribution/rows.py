"""What the (image, node) rows of a search have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from nplight.attribution.chunk import in_chunks
from nplight.attribution.clean import at_least_float32
from nplight.attribution.passes import Passes


class Rows(ABC):
    """The residual stream of every (image, node) row, image by image, one block further with every `advance`.

    Args:
        passes: runs the blocks.
        first: (images, tokens, features), what leaves block 0 on the clean pass. Before the first edit all nodes are
            the same, so that embedding and block 0 run once an image.
        edited: (images, nodes, path tokens, features), what the first edit adds to it.
        nodes: (m,) quadrature nodes.
        targets: (images,) int64.
        chunk_size: rows in flight in a differentiated pass.
    """

    def __init__(
        self, passes: Passes, first: Tensor, edited: Tensor, nodes: Tensor, targets: Tensor, chunk_size: int
    ) -> None:
        self.passes = passes
        self.nodes = nodes
        self.shape = (len(first), len(nodes))
        self.targets = targets.repeat_interleave(len(nodes))
        self.chunk_size = chunk_size
        self.stream = first.repeat_interleave(len(nodes), dim=0)
        self.stream[:, passes.vit.path_tokens] += edited.flatten(0, 1).to(first.dtype)

    @abstractmethod
    def correct(self, change: Tensor, direction: Tensor) -> None:
        """Edit the stream that left the last block at the path tokens.

        Args:
            change: (images, nodes, path tokens, features), added to it.
            direction: (images, path tokens, features), added to the direction of the path's derivative.
        """

    @abstractmethod
    def advance(self, layer: int, value: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run block `layer` with its neurons at alpha times `value`, and differentiate what follows.

        Args:
            layer: which block; 0 has run already, and after the last only the head is differentiated.
            value: (images, path tokens, width), the clean neurons of the block.

        Returns:
            The gradient of the target's probability on the path tokens of the stream that leaves the block, (images,
            nodes, path tokens, features), and its derivative along the direction, (images, nodes, path tokens).
        """

    def each(self, values: Tensor, chunk: slice) -> Tensor:
        """Values of the images, (images, …), for each row of a chunk, (rows, …)."""
        return values[torch.arange(chunk.start, chunk.stop, device=values.device) // self.shape[1]]

    def scaled(self, value: Tensor, chunk: slice) -> Tensor:
        """Clean neurons (images, path tokens, width) times each row's alpha, (rows, path tokens, width)."""
        node = torch.arange(chunk.start, chunk.stop, device=value.device) % self.shape[1]
        return self.each(value, chunk) * self.nodes[node, None, None]

    def passes_of(self, chunk: slice) -> Passes:
        """What runs the blocks for the images of a chunk."""
        return self.passes.of(slice(chunk.start // self.shape[1], -(-chunk.stop // self.shape[1])))

    def in_chunks(self, run: Callable[[slice], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Two results for every row, (rows, …), as (images, nodes, …), float32 at least."""
        found = in_chunks(self.passes.vit, self.shape, self.chunk_size, run)
        one, other = (at_least_float32(torch.cat(parts)).unflatten(0, self.shape) for parts in zip(*found))
        return one, other
