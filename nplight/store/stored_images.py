"""The images that a resumed run need not search again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nplight.store.atomic_write import cannot_write
from nplight.store.folder import RunFolder
from nplight.store.parts import DamagedPartError, Part, open_part, part_files
from nplight.store.path_table import PathTable


@dataclass(frozen=True, slots=True, eq=False)
class StoredImages:
    """The images with stored paths of a search; 16 bytes per image.

    Attributes:
        index: (images,) int64, ascending.
        checksums: (images,) int64, of each image's pixels.
        damaged: the damaged parts that were renamed.
        foreign: the parts of other runs, or without a fingerprint, that were renamed.

    Examples:
        >>> import tempfile
        >>> import nplight
        >>> import torch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.store import RunFolder, stored_images, write_part
        >>> planted, folder = build_planted(PLANTED["chain"]), RunFolder(tempfile.mkdtemp())
        >>> paths = nplight.search(planted.model, planted.images, planted.labels)
        >>> index, files = torch.arange(16), ["image.png"] * 16
        >>> rows = {"index": index, "files": files, "labels": planted.labels, "checksums": range(16)}
        >>> write_part(folder, paths, **rows, search="jas")
        >>> stored = stored_images(folder, "jas")
        >>> len(stored), stored.damaged
        (16, ())
    """

    index: Tensor
    checksums: Tensor
    damaged: tuple[Path, ...] = ()
    foreign: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.index)

    def checksums_of(self, index: Tensor) -> Tensor:
        """The stored checksum of each image: (images,) int64 -> (images,) int64, -1 for images that are not stored."""
        queried = index.cpu()
        position = torch.searchsorted(self.index, queried)
        is_stored = position < len(self.index)
        is_stored[is_stored.clone()] = self.index[position[is_stored]] == queried[is_stored]
        checksums = torch.full_like(queried, -1)
        checksums[is_stored] = self.checksums[position[is_stored]]
        return checksums.to(index.device)


def stored_images(run: RunFolder, search: str, fingerprint: str | None = None) -> StoredImages:
    """The images in a search's parts, all checksums verified.

    A damaged part is renamed to `damaged-…`, a part of another run to `foreign-…`, so that their images are searched
    again. Only one process may call this.

    Args:
        run: the run folder.
        search: name of the search.
        fingerprint: required of its parts, from `RunFolder.search_fingerprint`; `None`: any.

    Raises:
        RunFolderError: an image is stored twice, or a part cannot be read or renamed.

    Examples:
        >>> import tempfile
        >>> import nplight
        >>> from nplight.data import ImageBatch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.runs import SearchRun, SearchSettings
        >>> from nplight.store import RunFolder
        >>> planted, folder = build_planted(PLANTED["chain"]), RunFolder(tempfile.mkdtemp())
        >>> vit, batch = nplight.open_vit(planted.model), ImageBatch(planted.images, planted.labels)
        >>> with SearchRun(vit, folder, SearchSettings.of(["jas"], kept=(1, 2))) as search:
        ...     search.update(batch)
        ...     paths = search.conclude()
        ...
        >>> from nplight.store import stored_images
        >>> len(stored_images(folder, "jas").index)
        16
    """
    with ThreadPoolExecutor() as pool:
        opened = list(pool.map(_opened, part_files(run, search)))
    undamaged = [part for part in opened if isinstance(part, Part)]
    parts = [part for part in undamaged if fingerprint in (None, part.fingerprint)]
    damaged = tuple(_set_aside(path, "damaged") for path in opened if isinstance(path, Path))
    foreign = tuple(_set_aside(part.path, "foreign") for part in undamaged if part not in parts)
    if not parts:
        nothing = torch.empty(0, dtype=torch.int64)
        return StoredImages(nothing, nothing, damaged, foreign)
    rows = PathTable(parts).to_arrow(["index", "checksum"])
    index, checksums = (torch.from_numpy(np.array(rows[name].to_numpy())) for name in rows.column_names)
    return StoredImages(index, checksums, damaged, foreign)


def _opened(path: Path) -> Part | Path:
    try:
        return open_part(path, check_data=True)
    except DamagedPartError:
        return path


def _set_aside(path: Path, reason: str) -> Path:
    numbers = (f"{reason}-{number}-{path.name}" for number in range(1, 1 << 20))
    aside = next(target for target in map(path.with_name, numbers) if not target.is_symlink() and not target.exists())
    try:
        return path.rename(aside)
    except OSError as error:
        raise cannot_write(aside, error) from error
