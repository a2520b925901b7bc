"""A sample of the images of a loop: seeded, stratified, and held in memory of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nplight.errors import check_at_least
from nplight.processes import objects_of_processes
from nplight.seeds import hashes


@dataclass(frozen=True, slots=True, eq=False)
class SampledImages:
    """A process's share of a sample, in order of the index.

    Attributes:
        images: (images, channels, height, width), on the CPU until `split`.
        labels: (images,) int64.
        index: (images,) int64, each image's number in its data set.
        checksums: (images,) int64, of each image's pixels.
        total: images of the sample on all processes.

    Examples:
        >>> import torch
        >>> from nplight.data import SampledImages
        >>> numbers = torch.arange(5)
        >>> sample = SampledImages(torch.zeros(5, 3, 8, 8), numbers % 2, numbers, numbers, total=5)
        >>> [len(batch) for batch in sample.split(2, torch.device("cpu"))]
        [2, 2, 1]
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    checksums: Tensor
    total: int

    def __len__(self) -> int:
        return len(self.labels)

    def split(self, size: int, device: torch.device) -> Iterator[SampledImages]:
        """Batches of at most `size` images, which are moved to a device."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            columns = (self.labels[part], self.index[part], self.checksums[part])
            yield SampledImages(self.images[part].to(device), *columns, self.total)


class ImageSample:
    """Chooses images in one pass: as many of every category as there are, at most `size` of all together.

    Within a category the images with the smallest hashes are chosen, so that the choice depends on neither order,
    batches nor processes. Holds at most `size` images.

    Args:
        size: maximum number of images.
        seed: of the choice.

    Raises:
        ArgumentError: `size` is below 1.

    Examples:
        >>> import torch
        >>> from nplight.data import ImageSample
        >>> sample = ImageSample(2, seed=0)
    """

    def __init__(self, size: int, *, seed: int = 0) -> None:
        check_at_least("images", size, 1)
        self.size, self.seed = size, seed
        self._images: list[Tensor] = []
        self._columns = torch.empty(4, 0, dtype=torch.int64)  # hash, label, index, checksum

    def update(self, images: Tensor, labels: Tensor, index: Tensor, checksums: Sequence[int]) -> None:
        """Offer images.

        Args:
            images: (images, channels, height, width).
            labels: (images,) int64.
            index: (images,) int64, each image's number in its data set.
            checksums: of each image's pixels.
        """
        sums = torch.tensor(checksums)
        order = hashes(index, sums, seed=self.seed)
        columns = torch.cat([self._columns, torch.stack([order, labels.cpu(), index.cpu(), sums])], 1)
        kept = stratified_choice(columns[1], columns[0], self.size)
        held = len(self._images)
        self._images = [
            # A copy: a view would hold the whole batch.
            self._images[position] if position < held else images[position - held].detach().cpu().clone()
            for position in kept.tolist()
        ]
        self._columns = columns[:, kept]

    def share(self) -> SampledImages:
        """This process's share of the sample of all processes; every process must call it."""
        parts = objects_of_processes(self._columns)
        together = torch.cat(parts, 1)
        chosen = together[:, stratified_choice(together[1], together[0], self.size)]
        own = torch.isin(self._columns[0], chosen[0]).nonzero().flatten()
        own = own[self._columns[2, own].argsort(stable=True)]
        images = [self._images[position] for position in own.tolist()]
        _, labels, index, sums = self._columns[:, own]
        return SampledImages(torch.stack(images) if images else torch.empty(0), labels, index, sums, chosen.shape[1])


def stratified_choice(labels: Tensor, order: Tensor, size: int) -> Tensor:
    """The positions of at most `size` images: the first of every category, then the second of each, and so on.

    Args:
        labels: (images,) int64, the category of each image.
        order: (images,) int64, by which the images of a category, and the categories, are ordered.
        size: maximum number of images.

    Returns:
        (chosen,) int64.

    Examples:
        >>> import torch
        >>> from nplight.data import stratified_choice
        >>> labels, order = torch.tensor([0, 0, 0, 1, 1]), torch.arange(5)
        >>> stratified_choice(labels, order, 4).tolist()
        [0, 3, 1, 4]
    """
    by_order = order.argsort(stable=True)
    by_category = by_order[labels[by_order].argsort(stable=True)]
    ordered = labels[by_category]
    rank = torch.empty_like(order)
    rank[by_category] = torch.arange(len(ordered)) - torch.searchsorted(ordered, ordered)
    return by_order[rank[by_order].argsort(stable=True)][:size]
