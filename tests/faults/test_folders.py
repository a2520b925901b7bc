"""Folders that cannot be used: one line that says so, and nothing that was there damaged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml

import nplight
from nplight.cli import main
from tests.callbacks.digits_project import Folder, assert_same, folder, model
from tests.callbacks.digits_project import validate as validate_all
from tests.store.samples import contents, largest_file, occupied
from tests.test_cli import QUICK, quick, refused, write_quick

__all__ = ["folder", "quick"]

pytestmark = pytest.mark.usefixtures("command_line")


def file_in_its_place(run: Path) -> AbstractContextManager[None]:
    run.write_text("mine")
    return nullcontext()


@pytest.mark.parametrize(
    ("trouble", "place", "reason"),
    [
        (file_in_its_place, "run", "`run_dir` must be a folder, but {} is a file; name another --run_dir"),
        (lambda _: largest_file(300), "run", "cannot be written: File too large; make room or raise the quota"),
        (lambda _: nullcontext(), "/proc/nplight", "cannot be written: No such file or directory; name a --run_dir"),
        (lambda _: nullcontext(), "/sys/kernel", "cannot be written: Permission denied; name a --run_dir"),
        (occupied, "run", "is in use by process"),
    ],
    ids=["file", "full", "nowhere", "read-only", "occupied"],
)
@pytest.mark.filterwarnings("ignore:.*use of fork\\(\\):DeprecationWarning")
def test_a_folder_that_cannot_be_used_is_refused_in_one_line(
    quick: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    trouble: Callable[[Path], AbstractContextManager[object]],
    place: str,
    reason: str,
) -> None:
    run = tmp_path / place
    with trouble(run):
        before = contents(tmp_path)
        error = refused(["validate", "--config", str(quick), "--run_dir", str(run)], capsys)
        after = contents(tmp_path)
    assert reason.format(run) in error
    assert len(error.splitlines()) == 1
    assert {name: after[name] for name in before if name != "run/.lock"} == {
        name: before[name] for name in before if name != "run/.lock"
    }


@pytest.fixture(scope="module")
def quiet(quick_planes: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a run of `quick` with room on the disk."""
    folder = tmp_path_factory.mktemp("quiet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py"])
        main(["validate", "--config", str(write_quick(folder)), "--run_dir", str(folder / "run"), *QUICK])
    return contents(folder / "run")


def test_a_disk_that_fills_up_in_the_middle_loses_nothing(
    quick: Path, quiet: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings and the first files fit, the paths of a batch do not; with room the same command goes on."""
    command = ["validate", "--config", str(quick), "--run_dir", "run"]
    sizes = sorted(len(content) for name, content in quiet.items() if name.startswith("paths/"))
    with largest_file(sizes[-1] - 1):
        error = refused(command, capsys)
    assert "cannot be written: File too large; make room" in error
    there = contents(tmp_path / "run" / "paths")
    assert len(there) < len(sizes)
    main([*command, *QUICK])
    after = contents(tmp_path / "run")
    assert {name: after["paths/" + name] for name in there} == there
    assert after.keys() == quiet.keys()
    # The report tells when, and how long.
    assert {name for name in after if after[name] != quiet[name]} <= {"config.yaml", "run.json", "report.html"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", place], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"only who may mount a file system can try a full one: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_real_disk_that_is_full_loses_nothing(
    quick: Path, quiet: dict[str, bytes], small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["validate", "--config", str(quick), *QUICK, "--run_dir"]
    run, ballast = small_disk / "run", small_disk / "ballast"
    # Room for the settings and some of the paths, and then for none.
    free = os.statvfs(small_disk)
    ballast.write_bytes(bytes(free.f_bavail * free.f_frsize - 5 * 4096))
    error = refused([*command, str(run)], capsys)
    assert re.search(r"cannot be written: No space left on device; make room", error)
    assert len(error.splitlines()) == 1
    there = contents(run / "paths")
    assert ballast.stat().st_size == free.f_bavail * free.f_frsize - 5 * 4096
    ballast.unlink()
    main([*command, str(run)])
    after = contents(run)
    assert {name: after["paths/" + name] for name in there} == there
    assert after.keys() == quiet.keys()
    assert {name for name in after if name.startswith("paths/") and after[name] != quiet[name]} == set()


ODD = [
    "two\nlines.png",
    "-rf.png",
    "a'b\"c;$(touch hacked).png",
    "..png",
    "%s{0}.png",
    "café\u0301 \u202e.png",
    "\ud800.png",
]


def test_odd_file_names_and_links_are_images_like_others(folder: Path, tmp_path: Path) -> None:
    """Names are data: nothing is run, split or written by them."""

    def data(images: Path) -> Folder:
        return Folder(folder=str(images), batch_size=3, preprocessing_overrides={"image_size": [16, 16]})

    validate_all(model(4), data(folder), tmp_path / "plain", 1)
    names = sorted(path for path in (folder / "bee").iterdir())[: len(ODD)]
    odd = [os.fsdecode(b"\xff\xfe.png") if name == "\ud800.png" else name for name in ODD]
    # In the order of the old names, so that every image keeps its number.
    for number, (path, name) in enumerate(zip(names, odd)):
        path.rename(path.with_name(f"{number:02d}{name}"))
    (tmp_path / "outside.png").write_bytes((folder / "cat" / "0.png").read_bytes())
    (folder / "cat" / "0.png").unlink()
    (folder / "cat" / "0.png").symlink_to(tmp_path / "outside.png")
    for number, path in enumerate(sorted((folder / "bee").glob("[0-9].png")) + sorted((folder / "bee").glob("10.png"))):
        path.rename(path.with_name(f"99-{number}.png"))
    validate_all(model(4), data(folder), tmp_path / "odd", 1)
    assert {path.name for path in tmp_path.iterdir()} == {"images", "outside.png", "plain", "odd"}
    table = nplight.read_paths(tmp_path / "odd").where(search="jas")
    assert len(table) == len(nplight.read_paths(tmp_path / "plain").where(search="jas"))
    assert any("two\nlines.png" in name for name in table["file"])


def test_a_run_folder_may_have_an_odd_name(folder: Path, tmp_path: Path) -> None:
    for name in ("plain", "a b/ünï\ncode;$(x)"):
        data = Folder(folder=str(folder), batch_size=3, preprocessing_overrides={"image_size": [16, 16]})
        validate_all(model(4), data, tmp_path / name, 1)
    assert_same(tmp_path / "plain", tmp_path / "a b" / "ünï\ncode;$(x)")


def test_a_configuration_that_would_run_code_is_refused(
    quick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config: dict[str, Any] = yaml.safe_load(quick.read_text())
    text = yaml.safe_dump(config) + f"\nname: !!python/object/apply:os.system ['touch {tmp_path}/hacked']\n"
    quick.write_text(text)
    refused(["validate", "--config", str(quick)], capsys)
    assert not (tmp_path / "hacked").exists()
