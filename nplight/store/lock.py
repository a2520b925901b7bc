"""The lock of a run folder: one run at a time, by an advisory lock that ends with its process."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from nplight.errors import RunFolderError
from nplight.store.atomic_write import cannot_write

LOCK = ".lock"
_TAKEN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


@dataclass(slots=True)
class _Held:
    descriptor: int
    folder: int | None
    holders: int

    def close(self) -> None:
        os.close(self.descriptor)
        if self.folder is not None:
            os.close(self.folder)


_HELD: dict[Path, _Held] = {}


def acquire(folder: Path) -> bool:
    """Lock a folder, created if missing, against other processes; this process may acquire it several times.

    Two locks are taken: one on the file `.lock`, which names the holder, and one on the folder itself, which cannot be
    deleted. On a file system without locks nothing is locked. (filelock cannot lock a folder and raises without locks,
    so that using it would not shorten this module.)

    Returns:
        Whether this call locked the folder, so that no other process can be writing into it.

    Raises:
        RunFolderError: another process holds it, or it cannot be written.
    """
    key = folder.resolve()
    if key in _HELD:
        _HELD[key].holders += 1
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A link in its place could lock a file elsewhere.
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError as error:
        raise cannot_write(folder / LOCK, error) from error
    held = _Held(descriptor, _opened(folder), holders=1)
    try:
        locked = _locked(folder, held)
        _write(descriptor, f"process {os.getpid()} on {socket.gethostname()}")
    except (OSError, RunFolderError) as error:
        held.close()
        raise error if isinstance(error, RunFolderError) else cannot_write(folder / LOCK, error) from error
    _HELD[key] = held
    return locked


def release(folder: Path) -> None:
    """Undo one `acquire`; no effect if this process does not hold the folder."""
    key = folder.resolve()
    held = _HELD.get(key)
    if held is None:
        return
    held.holders -= 1
    if not held.holders:
        del _HELD[key]
        with contextlib.suppress(OSError):
            _write(held.descriptor, "")
        held.close()


def _opened(folder: Path) -> int | None:
    """A descriptor of the folder; `None` if folders cannot be opened, as on Windows."""
    try:
        return os.open(folder, os.O_RDONLY)
    except OSError:
        return None


def _locked(folder: Path, held: _Held) -> bool:
    locked = False
    for descriptor in (held.descriptor, held.folder):
        try:
            if descriptor is not None:
                _lock(descriptor)
                locked = True
        except OSError as error:
            if error.errno in _TAKEN:
                holder = "".join(filter(str.isprintable, os.read(held.descriptor, 200).decode(errors="replace")))
                raise RunFolderError(
                    f"`run_dir` {folder} is in use by {holder or 'another process'}; "
                    f"wait for its end, or name another --run_dir"
                ) from error
    return locked


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, text.encode())


def _forget() -> None:
    for held in _HELD.values():
        held.close()
    _HELD.clear()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # Windows also locks bytes against reading, so lock one behind the holder's name.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    # A forked child, e.g. a data loader's worker, may outlive a killed run and would hold its lock.
    os.register_at_fork(after_in_child=_forget)
