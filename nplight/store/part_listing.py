"""Which files stand in the folder of the parts, also while a compaction puts new ones in the place of old ones."""

from __future__ import annotations

import json
import os
from pathlib import Path

from nplight.errors import RunFolderError

COMPACTING = ".compacting-"
COMPACTED = "compacted-"
"""Beginnings of the folders of new parts, before and after they count in place of the old ones."""

REPLACED = "replaced.json"
"""In such a folder: the names of the new parts and of the old ones."""


def listed_files(folder: Path) -> dict[str, Path]:
    """The files of the folder of the parts by name, in order; new parts in place of those that they replace.

    Raises:
        RunFolderError: the folder cannot be read, or the list of a compaction is damaged.
    """
    try:
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
    except OSError as error:
        raise RunFolderError(f"{folder} cannot be read: {error.strerror}; make it readable") from error
    files = {name: folder / name for name in names}
    for name in names:
        if name.startswith(COMPACTED) and (folder / name / REPLACED).is_file():
            new, old = replaced(folder / name)
            inside = {part: folder / name / part for part in new if (folder / name / part).exists()}
            files = {part: path for part, path in files.items() if part not in old} | inside
    return dict(sorted(files.items()))


def replaced(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the new parts of a compaction, and of the old ones that they replace.

    Raises:
        RunFolderError: the list is damaged.
    """
    path = folder / REPLACED
    try:
        content = json.loads(path.read_bytes())
        new, old = content["new"], content["old"]
        if not all(isinstance(name, str) and name == os.path.basename(name) for name in [*new, *old]):
            raise ValueError("it holds other things than names")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{path} is damaged: {error}; start anew with --overwrite") from error
    return new, old
