from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from nplight.data import DigitsDataModule
from nplight.errors import ArgumentError


def test_images_to_predict_are_found_at_any_depth_and_in_order(tmp_path: Path) -> None:
    for name in ("b.png", "sub/a.JPG", "a.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8)).save(tmp_path / name, format="PNG")
    data = DigitsDataModule(predict_images=[str(tmp_path), str(tmp_path / "b.png")])
    (batch,) = data.predict_dataloader()
    assert [Path(file).relative_to(tmp_path).as_posix() for file in batch["file"]] == [
        "a.png",
        "b.png",
        "sub/a.JPG",
        "b.png",
    ]
    assert batch["index"].tolist() == [0, 1, 2, 3]


def test_images_that_cannot_be_predicted_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"`predict_images` must name files or folders"):
        DigitsDataModule().predict_dataloader()
    with pytest.raises(ArgumentError, match=r"must be files or folders that exist, got .*nowhere"):
        DigitsDataModule(predict_images=[str(tmp_path / "nowhere")]).predict_dataloader()
    with pytest.raises(ArgumentError, match=r"at least one image \(\.jpg.*found none"):
        DigitsDataModule(predict_images=[str(tmp_path)]).predict_dataloader()
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(
        ArgumentError, match=r"1 of the 1 images to predict cannot be read; .*cut\.png: cannot identify"
    ):
        next(iter(DigitsDataModule(predict_images=[str(tmp_path)]).predict_dataloader()))
