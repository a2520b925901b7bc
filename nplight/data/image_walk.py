"""The images of a folder, at any depth."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from torchvision.datasets.folder import IMG_EXTENSIONS

from nplight.errors import ArgumentError, printable


def images_below(folder: Path) -> list[str]:
    """The images at any depth of a folder, by extension, as paths relative to it with `/`, without hidden files.

    Links are followed, except to a folder that contains them. Special files are included, and refused by name when they
    are opened.

    Raises:
        ArgumentError: a folder inside cannot be listed.
    """
    images = []
    for current, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
        parent = Path(current)
        folders[:] = [name for name in folders if not _leads_back(parent / name)]
        images += [
            (parent / name).relative_to(folder).as_posix()
            for name in names
            if name.lower().endswith(IMG_EXTENSIONS) and not name.startswith(".")
        ]
    return images


def _leads_back(folder: Path) -> bool:
    return folder.is_symlink() and any(parent.samefile(folder) for parent in folder.absolute().parents)


def _refuse(error: OSError) -> NoReturn:
    raise ArgumentError(
        f"every folder of images must be readable, but {printable(str(error.filename))} cannot be listed: "
        f"{error.strerror}"
    ) from error
