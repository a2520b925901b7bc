"""Which images were counted, where they have numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.data import ImageBatch
from nplight.errors import ArgumentError, listed
from nplight.processes import objects_of_processes


class CountedImages:
    """The numbers of the images that a process has counted, 8 bytes each; images without a number are not known."""

    def __init__(self) -> None:
        self._index: dict[int, list[Tensor]] = {}

    def add(self, batch: ImageBatch, loader: int) -> None:
        """Note the images of a batch; each loader has numbers of its own."""
        if batch.index is not None:
            self._index.setdefault(loader, []).append(batch.index.cpu())

    def refuse_repeated(self) -> None:
        """Refuse what was counted if an image came twice, in whichever processes; every process must call it.

        Raises:
            ArgumentError: naming the images.
        """
        shares = objects_of_processes({loader: torch.cat(parts) for loader, parts in self._index.items()})
        for loader in sorted({loader for share in shares for loader in share}):
            index = torch.cat([share[loader] for share in shares if loader in share])
            values, counts = index.unique(return_counts=True)
            if twice := values[counts > 1].tolist():
                raise ArgumentError(
                    f"images came more than once and would be counted so: those with `index` {listed(twice)}; give "
                    f"the loader sampler=nplight.data.EachOnceSampler(dataset), and each image an `index` of its own"
                )
