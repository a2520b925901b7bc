from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nplight.errors import RunFolderError
from nplight.store import RunFolder, lock

# The grandchild stands for a data loader's worker, which outlives its killed parent for a while.
OTHER_RUN = """
import os, sys, time
from nplight.store import RunFolder
RunFolder(sys.argv[1]).claim("search", {})
worker = os.fork()
if not worker:
    time.sleep(60)
    os._exit(0)
print(worker, flush=True)
time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", OTHER_RUN, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        worker = int(other.stdout.readline())
        try:
            with pytest.raises(
                RunFolderError,
                match=rf"is in use by process {other.pid} on {socket.gethostname()}; wait for its end, or name another",
            ):
                RunFolder(tmp_path).claim("search", {})
            other.kill()
            other.wait()
            os.kill(worker, 0)
            with RunFolder(tmp_path) as run:
                run.claim("search", {})
        finally:
            other.kill()
            os.kill(worker, 9)


def test_a_second_process_is_refused_also_where_the_lock_was_deleted(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", OTHER_RUN, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        worker = int(other.stdout.readline())
        try:
            for _ in range(2):
                (tmp_path / ".lock").unlink()
                with pytest.raises(RunFolderError, match=r"is in use by another process; wait for its end"):
                    RunFolder(tmp_path).claim("search", {})
                assert (tmp_path / ".lock").read_bytes() == b""
            other.kill()
            other.wait()
            os.kill(worker, 0)
            with RunFolder(tmp_path) as run:
                run.claim("search", {})
        finally:
            other.kill()
            os.kill(worker, 9)


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
    leftover = tmp_path / ".settings.json.0123abcd.tmp"
    leftover.touch()
    with RunFolder(tmp_path) as run:
        run.claim("search", {})
        assert is_locked(tmp_path)
    assert not leftover.exists()


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
    leftover = tmp_path / ".settings.json.0123abcd.tmp"
    leftover.touch()
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
