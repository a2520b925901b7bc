"""Atomic writes: a file appears whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from nplight.errors import RunFolderError

_ROOM = "make room or raise the quota and start the same command again, which goes on, or name another --run_dir"
_RIGHTS = "name a --run_dir that can be written to"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a temporary file beside `path` with `write`, sync it, and replace `path` by it in one step.

    Raises:
        RunFolderError: it cannot be written; an existing file is unchanged.

    Examples:
        >>> from pathlib import Path
        >>> from nplight.store import write_whole
        >>> count = write_whole(Path("note.txt"), lambda path: path.write_text("whole or not at all"))
        >>> Path("note.txt").read_text()
        'whole or not at all'
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, pa.ArrowException) as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    _sync_folder(path.parent)


def cannot_write(path: Path, error: Exception) -> RunFolderError:
    """The error for a file that cannot be written: path, reason and way out."""
    way_out = _ROOM if getattr(error, "errno", None) in _FULL else _RIGHTS
    return RunFolderError(
        f"`run_dir`: {path} cannot be written: {getattr(error, 'strerror', None) or error}; {way_out}"
    )


def remove(path: Path) -> None:
    """Remove a file or a link if it exists.

    Raises:
        RunFolderError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise RunFolderError(f"`run_dir`: {path} cannot be removed: {error.strerror}; {_RIGHTS}") from error


def leftovers(folder: Path) -> list[Path]:
    """The temporary files of `write_whole` left in a folder by killed processes."""
    return sorted(folder.glob(f".*.{'[0-9a-f]' * 8}.tmp"))


def _sync_folder(folder: Path) -> None:
    # Some file systems, and Windows, cannot sync a folder; the file itself is in place either way.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
