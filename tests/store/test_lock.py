from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from nplight.errors import RunFolderError
from nplight.store import RunFolder, lock
from tests.store.samples import OtherRun, occupied

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork\\(\\):DeprecationWarning")


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    with occupied(tmp_path) as other:
        with pytest.raises(
            RunFolderError,
            match=rf"is in use by process {other.number} on {socket.gethostname()}; wait for its end, or name another",
        ):
            RunFolder(tmp_path).claim("search", {})
        assert_free_after_its_death(tmp_path, other)


def test_a_second_process_is_refused_also_where_the_lock_was_deleted(tmp_path: Path) -> None:
    with occupied(tmp_path) as other:
        for _ in range(2):
            (tmp_path / ".lock").unlink()
            with pytest.raises(RunFolderError, match=r"is in use by another process; wait for its end"):
                RunFolder(tmp_path).claim("search", {})
            assert (tmp_path / ".lock").read_bytes() == b""
        assert_free_after_its_death(tmp_path, other)


def assert_free_after_its_death(folder: Path, other: OtherRun) -> None:
    """Though the worker that it started lives on."""
    other.kill()
    os.kill(other.worker, 0)
    with RunFolder(folder) as run:
        run.claim("search", {})


def test_a_file_system_that_cannot_lock_folders_still_locks_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NFS, which turns these locks into ones that need a file open for writing."""
    real = lock._lock

    def only_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, "Bad file descriptor")
        real(descriptor)

    monkeypatch.setattr(lock, "_lock", only_files)
    leftover = left_by_a_killed_run(tmp_path)
    with RunFolder(tmp_path) as run:
        run.claim("search", {})
        assert is_locked(tmp_path)
    assert not leftover.exists()


def left_by_a_killed_run(folder: Path) -> Path:
    path = folder / ".settings.json.0123abcd.tmp"
    path.touch()
    return path


def foreign(folder: Path) -> int:
    """A lock as another process would hold it."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
    lock._lock(descriptor)
    return descriptor


def is_locked(folder: Path) -> bool:
    try:
        os.close(foreign(folder))
    except BlockingIOError:
        return True
    return False


def test_one_process_may_claim_several_times_and_gives_back_as_often(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "run")
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "link")
    for section in ("search", "evaluation"):
        first.claim(section, {})
    second.claim("evaluation", {})
    first.release()
    first.release()
    assert is_locked(tmp_path / "run")
    second.release()
    assert not is_locked(tmp_path / "run")
    assert (tmp_path / "run" / ".lock").read_bytes() == b""


def test_a_run_that_is_refused_or_fails_holds_nothing(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        run.claim("search", {"steps": 20})
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
    with pytest.raises(RunFolderError, match="other settings"):
        RunFolder(tmp_path).claim("search", {"steps": 8})
    assert not is_locked(tmp_path)
    with contextlib.suppress(KeyError), RunFolder(tmp_path) as run:
        run.claim("search", {"steps": 20})
        raise KeyError
    assert not is_locked(tmp_path)


def test_a_holder_without_a_name_or_with_an_odd_one_is_still_refused(tmp_path: Path) -> None:
    descriptor = foreign(tmp_path)
    with pytest.raises(RunFolderError, match="is in use by another process;"):
        RunFolder(tmp_path).claim("search", {})
    os.write(descriptor, b"\x1b[2J\xff\n" + b"x" * 10_000)
    with pytest.raises(RunFolderError, match=r"is in use by \[2J.x{194,196};"):
        RunFolder(tmp_path).claim("search", {})
    os.close(descriptor)
    assert not (tmp_path / "settings.json").exists()


def test_a_file_system_without_locks_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(descriptor: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_lock", unsupported)
    leftover = left_by_a_killed_run(tmp_path)
    with RunFolder(tmp_path) as run:
        run.claim("search", {})
    # It may be another run's that is being written.
    assert leftover.exists()


def test_a_link_in_the_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    (tmp_path / ".lock").symlink_to(tmp_path / "mine")
    with pytest.raises(RunFolderError, match=r"\.lock cannot be written: .*; name a --run_dir"):
        RunFolder(tmp_path).claim("search", {})
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_folder_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(RunFolderError, match=r"/proc/nplight/\.lock cannot be written: .*; name a --run_dir"):
        RunFolder("/proc/nplight").claim("search", {})
