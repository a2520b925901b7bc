"""The stored rows of given images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nplight.errors import RunFolderError, listed
from nplight.store.path_table import PathTable

_PARTS_IN_MEMORY = 16


class RowLookup:
    """Columns of a table by the index of the image.

    16 bytes per image and the last 16 parts are held in memory: images in the order in which they were stored are read
    part by part.

    Args:
        table: the rows of one search.
        columns: the numeric columns to be looked up; `checksum` is among them always.

    Examples:
        >>> import tempfile
        >>> import nplight
        >>> import torch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.store import RowLookup, RunFolder, write_part
        >>> planted, folder = build_planted(PLANTED["chain"]), RunFolder(tempfile.mkdtemp())
        >>> paths = nplight.search(planted.model, planted.images, planted.labels)
        >>> index, files = torch.arange(16), ["image.png"] * 16
        >>> rows = {"index": index, "files": files, "labels": planted.labels, "checksums": range(16)}
        >>> write_part(folder, paths, **rows, search="jas")
        >>> lookup = RowLookup(nplight.read_paths(folder.path), ["label"])
        >>> lookup.of(torch.tensor([5, 2]), torch.tensor([5, 2]))["label"]
        tensor([1, 2])
    """

    def __init__(self, table: PathTable, columns: Sequence[str]) -> None:
        self._table = table
        self._columns = list(dict.fromkeys([*columns, "checksum"]))
        indices = table.part_indices()
        lengths = torch.tensor([len(index) for index in indices])
        self._starts = lengths.cumsum(0) - lengths
        self._index, self._rows = torch.cat(indices).sort()
        self._parts: dict[int, dict[str, Tensor]] = {}

    def of(self, index: Tensor, checksums: Tensor) -> dict[str, Tensor]:
        """The rows of images.

        Args:
            index: (images,) int64.
            checksums: (images,) int64, of the images' pixels.

        Returns:
            Column -> (images, …), in the order of `index`.

        Raises:
            RunFolderError: an image has no row, or the row is of another image.
        """
        index = index.cpu().contiguous()
        positions = torch.searchsorted(self._index, index).clamp(max=len(self._index) - 1)
        missing = index[self._index[positions] != index]
        if len(missing):
            raise RunFolderError(f"no paths are stored for the images {listed(missing.tolist())}; search them first")
        rows = self._rows[positions]
        parts = torch.searchsorted(self._starts, rows, right=True) - 1
        columns = {name: torch.empty(0) for name in self._columns}
        for part in parts.unique().tolist():
            members = parts == part
            for name, values in self._part(part).items():
                if not len(columns[name]):
                    columns[name] = values.new_empty(len(index), *values.shape[1:])
                columns[name][members] = values[rows[members] - self._starts[part]]
        others = index[columns["checksum"] != checksums.cpu()]
        if len(others):
            raise RunFolderError(
                f"the paths stored for the images {listed(others.tolist())} are of other images; give each image an "
                f"`index` of its own that does not depend on the order, and the images that were searched"
            )
        return columns

    def _part(self, number: int) -> dict[str, Tensor]:
        if number not in self._parts:
            if len(self._parts) >= _PARTS_IN_MEMORY:
                del self._parts[next(iter(self._parts))]
            self._parts[number] = self._table.part_rows(number, self._columns)
        return self._parts[number]
