from __future__ import annotations

import errno
import os
from pathlib import Path

import pyarrow as pa
import pytest

from nplight.errors import RunFolderError
from nplight.store import write_whole
from nplight.store.atomic_write import leftovers
from tests.store.samples import contents, largest_file, refusal


def test_what_is_written_is_there_and_nothing_else(tmp_path: Path) -> None:
    for text in ("one", "two"):
        write_whole(tmp_path / "new" / "file", lambda path, text=text: path.write_text(text))  # type: ignore[misc]
        assert contents(tmp_path) == {"new/file": text.encode()}


def test_the_file_and_then_its_folder_are_on_the_disk_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, os.replace

    def noted_sync(descriptor: int) -> None:
        kind = "folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file"
        steps.append(kind)
        sync(descriptor)

    def noted_replace(source: Path, target: Path) -> None:
        steps.append("in place")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_whole(tmp_path / "file", lambda path: path.write_text("text"))
    assert steps == ["file", "in place", "folder"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (refusal(errno.ENOSPC), r"file cannot be written: ENOSPC; make room or raise the quota and start the same"),
        (refusal(errno.EDQUOT), r"file cannot be written: EDQUOT; make room or raise the quota"),
        (refusal(errno.EROFS), r"file cannot be written: EROFS; name a --run_dir that can be written to"),
        (refusal(errno.EACCES), r"file cannot be written: EACCES; name a --run_dir"),
        (pa.ArrowInvalid("bad array"), r"file cannot be written: bad array; name a --run_dir"),
    ],
)
def test_a_refusal_says_why_and_what_to_do_and_leaves_all_as_it_was(
    tmp_path: Path, error: Exception, message: str
) -> None:
    (tmp_path / "file").write_text("old")

    def fail(path: Path) -> None:
        path.write_text("half")
        raise error

    with pytest.raises(RunFolderError, match=message):
        write_whole(tmp_path / "file", fail)
    assert contents(tmp_path) == {"file": b"old"}


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")

    def fill(path: Path) -> None:
        with open("/dev/full", "wb", buffering=0) as device:
            device.write(b"text")

    with pytest.raises(RunFolderError, match=r"file cannot be written: No space left on device; make room"):
        write_whole(tmp_path / "file", fill)
    with (
        largest_file(1000),
        pytest.raises(RunFolderError, match=r"file cannot be written: File too large; make room"),
    ):
        write_whole(tmp_path / "file", lambda path: path.write_bytes(bytes(2000)))
    assert contents(tmp_path) == {"file": b"old"}


def test_a_place_that_takes_no_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper", Path("/proc/nplight")):
        with pytest.raises(RunFolderError, match=r"name cannot be written: .*; name a --run_dir"):
            write_whole(folder / "name", lambda path: path.write_text("text"))
    assert contents(tmp_path) == {"file": b"old"}


def test_a_link_is_replaced_and_what_it_points_to_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "file").symlink_to(tmp_path / "mine")
    write_whole(tmp_path / "file", lambda path: path.write_text("text"))
    assert not (tmp_path / "file").is_symlink()
    assert contents(tmp_path) == {"mine": b"precious", "file": b"text"}


def test_an_interruption_leaves_nothing_and_a_kill_a_leftover_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", interrupt)
    assert contents(tmp_path) == {}
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", interrupt)
    (tmp_path / ".file.tmp").touch()
    (tmp_path / ".file.mine.tmp").touch()
    assert [path.read_text() for path in leftovers(tmp_path)] == ["half"]
