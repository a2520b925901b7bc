"""What the (image, node) rows of a search have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from nplight.attribution.clean import at_least_float32, target_probability
from nplight.neurons import replace_tokens
from nplight.vit import OpenViT


class Rows(ABC):
    """The residual stream of every (image, node) row, image by image, one block further with every `advance`.

    Args:
        vit: the opened model, undisturbed.
        first: (images, tokens, features), what leaves block 0 on the clean pass. Before the first edit all nodes are
            the same, so that embedding and block 0 run once an image.
        edited: (images, nodes, path tokens, features), what the first edit adds to it.
        nodes: (m,) quadrature nodes.
        targets: (images,) int64.
        chunk_size: rows in flight in a differentiated pass.
    """

    def __init__(
        self, vit: OpenViT, first: Tensor, edited: Tensor, nodes: Tensor, targets: Tensor, chunk_size: int
    ) -> None:
        self.vit = vit
        self.nodes = nodes
        self.shape = (len(first), len(nodes))
        self.targets = targets.repeat_interleave(len(nodes))
        self.stream = self.add(first.repeat_interleave(len(nodes), dim=0), edited.flatten(0, 1))
        count = len(self.targets)
        self.chunks = [slice(start, min(start + chunk_size, count)) for start in range(0, count, chunk_size)]

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

    def add(self, stream: Tensor, change: Tensor) -> Tensor:
        """`stream` (rows, tokens, features) with `change` (rows, path tokens, features) added at the path tokens."""
        tokens = self.vit.path_tokens
        return replace_tokens(stream, tokens, stream[:, tokens] + change.to(stream.dtype))

    def each(self, values: Tensor, chunk: slice) -> Tensor:
        """Values of the images, (images, …), for each row of a chunk, (rows, …)."""
        return values[torch.arange(chunk.start, chunk.stop, device=values.device) // self.shape[1]]

    def scaled(self, value: Tensor, chunk: slice) -> Tensor:
        """Clean neurons (images, path tokens, width) times each row's alpha, (rows, path tokens, width)."""
        node = torch.arange(chunk.start, chunk.stop, device=value.device) % self.shape[1]
        return self.each(value, chunk) * self.nodes[node, None, None]

    def probability(self, layer: int, stream: Tensor, chunk: slice) -> Tensor:
        """Sum over rows of the target's probability, from the stream that enters block `layer`."""
        return target_probability(self.vit.forward_from(layer, stream), self.targets[chunk]).sum()

    def gathered(self, parts: list[Tensor]) -> Tensor:
        """Results of the chunks, (rows, …), as (images, nodes, …), float32 at least."""
        gathered: Tensor = at_least_float32(torch.cat(parts)).unflatten(0, self.shape)
        return gathered
