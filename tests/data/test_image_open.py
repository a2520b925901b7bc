from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from PIL import Image

from nplight.data import DigitsDataModule, ImageFolderDataModule
from nplight.data.image_check import full, quick
from nplight.data.image_open import MAX_PIXELS, opened
from nplight.errors import ArgumentError
from tests.data.samples import data_of, save

KINDS = {"fifo.png": "a FIFO", "socket.png": "a socket", "link.png": "a FIFO", "device.png": "a device"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two categories of two images, and in the first one what is named as an image and is none."""
    folder = tmp_path / "images"
    for category in ("cat", "dog"):
        for number in range(2):
            save(folder / category / f"{number}.png", number)
    os.mkfifo(folder / "cat" / "fifo.png")
    monkeypatch.chdir(folder / "cat")  # a socket's path may be a hundred characters long
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
    (folder / "cat" / "link.png").symlink_to(folder / "cat" / "fifo.png")
    (folder / "cat" / "device.png").symlink_to("/dev/zero")
    return folder


@pytest.mark.parametrize("check", ["quick", "full"])
def test_what_is_no_regular_file_is_named_and_nothing_waits_for_it(folder: Path, check: str) -> None:
    with pytest.raises(ArgumentError, match=r"4 of the 8 images of .*images cannot be read") as caught:
        data_of(folder, check=check).setup("validate")
    for name, kind in KINDS.items():
        caught.match(rf"cat/{name}: it is {kind} and not a file")
    data = data_of(folder, check=check, on_error="skip")
    data.setup("validate")
    assert dict(data.skipped) == {f"cat/{name}": f"it is {kind} and not a file" for name, kind in KINDS.items()}
    source = data.source(train=False)
    with pytest.raises(ArgumentError, match=r"fifo\.png cannot be read as an image: it is a FIFO"):
        source.open(source.files.index("cat/fifo.png"))


def test_what_is_no_regular_file_is_not_predicted(folder: Path) -> None:
    data = DigitsDataModule(predict_images=[str(folder / "cat"), str(folder / "cat" / "fifo.png")])
    with pytest.raises(ArgumentError, match=r"5 of the 7 images to predict cannot be read"):
        data.setup("predict")


def test_an_image_of_too_many_pixels_is_refused_without_being_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.png"
    Image.new("L", (50, 40)).save(path)
    reason = (
        r"its 50 x 40 pixels are more than the 1,999 of `max_pixels`; make the image smaller, or raise `max_pixels`"
    )
    with opened(path, 2000) as image:
        assert image.size == (50, 40)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ArgumentError, match=reason), opened(path, 1999):
        pass
    for check in (quick, full):
        assert str(check(path, 1999)).startswith("its 50 x 40 pixels")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_the_bound_holds_by_default_and_can_be_raised(tmp_path: Path) -> None:
    edge = 9460
    assert (edge - 1) ** 2 < MAX_PIXELS < edge**2
    path = tmp_path / "large.png"
    Image.new("1", (edge, edge)).save(path)
    assert str(quick(path)).startswith("its 9460 x 9460 pixels are more than the 89,478,485 of `max_pixels`")
    assert quick(path, edge**2) is None


def test_the_bound_is_an_argument_of_the_data(tmp_path: Path) -> None:
    for category in ("cat", "dog"):
        for number in range(2):
            save(tmp_path / category / f"{number}.png", number)  # 32 x 24 pixels
    data_of(tmp_path, max_pixels=768).setup("validate")
    with pytest.raises(ArgumentError, match=r"4 of the 4 images .*its 32 x 24 pixels are more than the 767"):
        data_of(tmp_path, max_pixels=767).setup("validate")
    with pytest.raises(ArgumentError, match=r"4 of the 4 images .*its 32 x 24 pixels are more than the 767"):
        data_of(tmp_path, max_pixels=767, predict_images=[str(tmp_path)]).predict_dataloader()
    with pytest.raises(ArgumentError, match=r"`max_pixels` must be an integer of at least 1, got 0"):
        ImageFolderDataModule(folder=str(tmp_path), max_pixels=0)
    with pytest.raises(ArgumentError, match=r"`max_pixels` must be at most 178,956,970, above which Pillow refuses"):
        ImageFolderDataModule(folder=str(tmp_path), max_pixels=10**9)
