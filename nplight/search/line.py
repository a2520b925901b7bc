"""The straight line from the zero image to an image, in groups of (image, node) rows that fit a chunk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Cell:
    """Some images times some nodes; its rows go image by image.

    Attributes:
        images: which images.
        nodes: which nodes.
    """

    images: slice
    nodes: slice

    def rows(self, values: Tensor) -> Tensor:
        """Values of all images (images, …) for each row of the cell, (rows, …)."""
        return values[self.images].repeat_interleave(self.nodes.stop - self.nodes.start, dim=0)

    def points(self, images: Tensor, nodes: Tensor) -> Tensor:
        """α_k · image for each row: (images, channels, height, width), (m,) -> (rows, channels, height, width)."""
        scaled = images[self.images, None] * nodes[self.nodes, None, None, None]
        return scaled.flatten(0, 1).to(images.dtype)

    def unflatten(self, values: Tensor) -> Tensor:
        """Values of the rows, (rows, …), as (images, nodes, …) of the cell."""
        unflattened: Tensor = values.unflatten(0, (-1, self.nodes.stop - self.nodes.start))
        return unflattened


def cells(images: int, nodes: int, chunk_size: int) -> Iterator[Cell]:
    """Every (image, node) once, at most `chunk_size` at a time; the nodes of an image in ascending order."""
    for start in range(0, images, chunk_size):
        stop = min(start + chunk_size, images)
        at_once = max(1, chunk_size // (stop - start))
        for node in range(0, nodes, at_once):
            yield Cell(slice(start, stop), slice(node, min(node + at_once, nodes)))


def zero_scores(values: Tensor) -> Tensor:
    """Where scores are summed up: neurons (images, path tokens, width) -> zeros (images, width)."""
    return torch.zeros_like(values[:, 0])
