"""A folder of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.samples import save


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two categories, of five images at different depths and of four; files that are no images."""
    folder = tmp_path / "images"
    for number, name in enumerate(["cat/b.jpg", "cat/a.png", "cat/deep/er/c.JPEG", "cat/d.bmp", "cat/e.webp"]):
        save(folder / name, number)
    for number in range(4):
        save(folder / "dog" / f"{number}.jpg", 10 + number)
    (folder / "cat" / "notes.txt").write_text("no image")
    (folder / "cat" / "._b.jpg").write_text("no image")
    (folder / ".cache").mkdir()
    (folder / "readme.md").write_text("no category")
    return folder
