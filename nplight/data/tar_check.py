"""Whether a tar file is whole: tarfile, and so timm, takes a header that is cut for the end."""

from __future__ import annotations

import tarfile
from pathlib import Path

from nplight.errors import ArgumentError


def check_whole(path: Path) -> None:
    """Refuse a tar file that is cut short, by its headers.

    Raises:
        ArgumentError: naming it.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            for _ in archive:
                pass
            end = archive.offset
    except (tarfile.TarError, OSError) as error:
        raise ArgumentError(f"{path} cannot be read as an uncompressed tar file: {error}") from error
    if not has_end(path, end):
        raise ArgumentError(f"{path} is cut short; fetch it again")


def has_end(path: Path, offset: int) -> bool:
    """Whether the block of zeros that ends a tar file stands where its members end.

    Args:
        path: of the uncompressed tar file.
        offset: the byte after its last member, as `TarFile.offset` is once all members are read.
    """
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)
