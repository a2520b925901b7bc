from __future__ import annotations

import os
from pathlib import Path

import pytest

from nplight.data.class_folders import class_folders
from nplight.data.image_files import ImageFiles
from nplight.data.image_walk import images_below
from nplight.errors import ArgumentError


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_links_back_are_not_followed_and_others_are(tmp_path: Path) -> None:
    cat = tmp_path / "images" / "cat"
    for name in ("a.png", "x/b.png", "y/c.png", "folder.png/d.png", ".hidden.png", "notes.txt"):
        touch(cat / name)
    touch(tmp_path / "elsewhere" / "e.png")
    (cat / "linked").symlink_to(tmp_path / "elsewhere")
    (cat / "again").symlink_to(cat)
    (cat / "up").symlink_to(tmp_path / "images")
    (cat / "x" / "to_y").symlink_to(cat / "y")
    (cat / "y" / "to_x").symlink_to(cat / "x")
    (cat / "itself.png").symlink_to(cat / "itself.png")
    assert sorted(images_below(cat)) == [
        "a.png",
        "folder.png/d.png",
        "itself.png",
        "linked/e.png",
        "x/b.png",
        "x/to_y/c.png",
        "y/c.png",
        "y/to_x/b.png",
    ]
    assert [path.name for path in ImageFiles([str(cat)], lambda image: image).files] == [  # type: ignore[arg-type, return-value]
        Path(name).name for name in sorted(images_below(cat), key=Path)
    ]


def test_a_link_to_itself_is_no_category(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert class_folders("folder", tmp_path) == ["cat"]


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "cat" / "shut\n" / "a.png")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if "shut" in os.fspath(path):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(ArgumentError, match=r"must be readable, but .*shut\\n cannot be listed: Permission denied"):
        images_below(tmp_path)
