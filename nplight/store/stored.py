"""What a run that goes on need not search again."""

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
from nplight.store.table import PathTable


@dataclass(frozen=True, slots=True, eq=False)
class StoredImages:
    """The images whose paths a search has found, 16 bytes each.

    Attributes:
        index: (images,) int64, ascending.
        checksums: (images,) int64, of each image's pixels.
        damaged: the damaged parts that were set aside.
        foreign: the parts that were set aside because they are of another run, or do not say of which.
    """

    index: Tensor
    checksums: Tensor
    damaged: tuple[Path, ...] = ()
    foreign: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.index)

    def checksums_of(self, index: Tensor) -> Tensor:
        """The checksum under which each image is stored: (images,) int64 -> (images,) int64, -1 where it is not."""
        wanted = index.cpu()
        place = torch.searchsorted(self.index, wanted)
        there = place < len(self.index)
        there[there.clone()] = self.index[place[there]] == wanted[there]
        checksums = torch.full_like(wanted, -1)
        checksums[there] = self.checksums[place[there]]
        return checksums.to(index.device)


def stored_images(run: RunFolder, search: str, fingerprint: str | None = None) -> StoredImages:
    """The images that a search's parts hold, every byte of them checked.

    A damaged part is renamed, to `damaged-…`, and one of another run to `foreign-…`, so that their images are searched
    again; for one process alone.

    Args:
        run: the run folder.
        search: its name.
        fingerprint: that its parts must carry, `RunFolder.search_fingerprint`; `None`: any.

    Raises:
        RunFolderError: an image stands twice, or a part cannot be read or renamed.
    """
    with ThreadPoolExecutor() as pool:
        opened = list(pool.map(_opened, part_files(run, search)))
    whole = [part for part in opened if isinstance(part, Part)]
    parts = [part for part in whole if fingerprint in (None, part.fingerprint)]
    damaged = tuple(_set_aside(path, "damaged") for path in opened if isinstance(path, Path))
    foreign = tuple(_set_aside(part.path, "foreign") for part in whole if part not in parts)
    if not parts:
        nothing = torch.empty(0, dtype=torch.int64)
        return StoredImages(nothing, nothing, damaged, foreign)
    rows = PathTable(parts).to_arrow(["index", "checksum"])
    index, checksums = (torch.from_numpy(np.array(rows[name].to_numpy())) for name in rows.column_names)
    return StoredImages(index, checksums, damaged, foreign)


def _opened(path: Path) -> Part | Path:
    try:
        return open_part(path, whole=True)
    except DamagedPartError:
        return path


def _set_aside(path: Path, reason: str) -> Path:
    numbers = (f"{reason}-{number}-{path.name}" for number in range(1, 1 << 20))
    aside = next(target for target in map(path.with_name, numbers) if not target.is_symlink() and not target.exists())
    try:
        return path.rename(aside)
    except OSError as error:
        raise cannot_write(aside, error) from error
