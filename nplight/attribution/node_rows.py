"""Node rows: the (image, node) pairs that are in flight together."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class NodeRows:
    """A chunk of the node rows of a group of images, ordered by image: whole images, or a part of one image.

    Attributes:
        start: position of the first row among all rows.
        stop: position after the last row.
        per_image: nodes per image, m.

    Examples:
        >>> import torch
        >>> from nplight.attribution import NodeRows
        >>> rows = NodeRows(0, 8, per_image=4)  # two images with 4 nodes each
        >>> len(rows), rows.each(torch.tensor([10, 20])).tolist()
        (8, [10, 10, 10, 10, 20, 20, 20, 20])
    """

    start: int
    stop: int
    per_image: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def positions(self) -> slice:
        """The positions of the rows among all rows."""
        return slice(self.start, self.stop)

    @property
    def images(self) -> slice:
        """The images of the rows."""
        return slice(self.start // self.per_image, -(-self.stop // self.per_image))

    @property
    def nodes(self) -> slice:
        """The nodes of each of the images."""
        first = self.start % self.per_image
        return slice(first, first + len(self) // self._count)

    def each(self, values: Tensor) -> Tensor:
        """Values of all images, repeated for each row: (images, …) -> (rows, …)."""
        return values[self.images].repeat_interleave(len(self) // self._count, dim=0)

    def alpha(self, nodes: Tensor) -> Tensor:
        """The node of each row: (m,), or (images, m) where every image has its own -> (rows,)."""
        if nodes.ndim == 2:
            return nodes[self.images, self.nodes].flatten()
        return nodes[self.nodes].repeat(self._count)

    def unflatten(self, values: Tensor) -> Tensor:
        """Values of the rows by image: (rows, …) -> (images, nodes, …)."""
        unflattened: Tensor = values.unflatten(0, (self._count, -1))
        return unflattened

    @property
    def _count(self) -> int:
        return -(-self.stop // self.per_image) - self.start // self.per_image
