"""The rows of a search in the run folder: images that are not stored yet are searched and written, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from nplight.data import ImageBatch
from nplight.errors import ArgumentError, NonFiniteError, RunFolderError, listed
from nplight.paths import PathBatch
from nplight.searching import ImageSearch
from nplight.store import RunFolder, StoredImages, write_part
from nplight.vit import OpenViT

Find = Callable[[ImageBatch], PathBatch]


class ImageRows:
    """One search of every image, on one process.

    Args:
        folder: the run folder.
        image_search: what is searched, and its name.
        stored: the images whose paths the folder held when the run started.
        fingerprint: of the search, which every part carries.
    """

    def __init__(
        self, folder: RunFolder, image_search: ImageSearch, stored: StoredImages, fingerprint: str | None
    ) -> None:
        self.folder = folder
        self.image_search = image_search
        self.stored = stored
        self.fingerprint = fingerprint

    def search(self, vit: OpenViT, batch: ImageBatch, sums: Sequence[int], *, predicted: bool) -> None:
        """Search and write the images of a batch that are not stored.

        Args:
            vit: the opened model.
            batch: with an index; else as `read_batch` gives it.
            sums: checksum of each image's pixels.
            predicted: whether each image's predicted category is its target, not its label.

        Raises:
            ArgumentError: an index stands twice in the batch.
            RunFolderError: other images are stored under these numbers, or the folder cannot be written to.
            NonFiniteError: NaN or infinite values appeared, naming the files.
        """

        def find(new: ImageBatch) -> PathBatch:
            return self.image_search.paths(vit, new.images, None if predicted else new.labels)

        self.write_new(batch, sums, find)

    def write_new(self, batch: ImageBatch, sums: Sequence[int], find: Find) -> None:
        """Write what `find` gives for the images of a batch that are not stored; arguments as `search`."""
        if batch.index is None:
            raise ArgumentError("`batch` must have the `index` of each image, to store its path under; got none")
        index = batch.index.cpu().contiguous()
        if len(index.unique()) < len(index):
            raise ArgumentError(
                f"`index` must number each image of a batch differently, got {listed(index.tolist(), 20)}"
            )
        known = self.stored.checksums_of(index)
        others = index[(known >= 0) & (known != torch.tensor(sums))].tolist()
        if others:
            raise RunFolderError(
                f"`run_dir` {self.folder.path} already holds paths of other images under the numbers {listed(others)}; "
                f"name another run_dir, and give each image an `index` of its own that does not depend on the order"
            )
        positions = (known < 0).nonzero().flatten()
        if len(positions):
            new = batch.select(positions)
            names = new.files or tuple(f"image {number}" for number in index[positions].tolist())
            try:
                paths = find(new)
            except NonFiniteError as error:
                culprits = listed(names[position] for position in error.positions)
                raise NonFiniteError(f"{error.what} ({culprits})", error.positions) from error
            write_part(
                self.folder,
                paths,
                index=index[positions],
                files=names,
                labels=new.labels,
                checksums=[sums[position] for position in positions.tolist()],
                search=self.image_search.name,
                fingerprint=self.fingerprint,
            )
