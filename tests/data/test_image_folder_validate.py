"""A folder of images, as they come, through the whole of `validate`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import nplight
from nplight.cli import main

CATEGORIES = ("cat", "dog", "owl")
# Mode and format of each image of a category.
KINDS = [("RGB", "jpg"), ("RGB", "png"), ("L", "png"), ("L", "jpg"), ("P", "png"), ("RGBA", "png"), ("CMYK", "jpg")]

pytestmark = pytest.mark.usefixtures("command_line")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven images of each of three categories and, in the second, an eighth one that was cut off."""
    random = np.random.default_rng(0)
    for category in CATEGORIES:
        for number, (mode, suffix) in enumerate([*KINDS, ("RGB", "jpg")][: 8 if category == "dog" else 7]):
            path = tmp_path / "images" / category / f"{number}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(random.integers(0, 256, (30, 40, 3), dtype=np.uint8)).convert(mode)
            image.save(path, **({"transparency": b"\x00\x40"} if mode == "P" else {}))
    path = tmp_path / "images" / "dog" / "7.jpg"
    path.write_bytes(path.read_bytes()[:-300])
    return tmp_path / "images"


def configuration(folder: Path, **data: Any) -> list[str]:
    """The arguments of a run of a tiny ViT on a folder."""
    shape = {"img_size": 16, "patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2}
    model = {"model_name": "vit_tiny_patch16_224", "model_args": shape}
    config = {
        "data": {
            "class_path": "nplight.data.ImageFolderDataModule",
            "init_args": {"folder": str(folder), "batch_size": 5, "num_workers": 0, **data},
        },
        "model": {"class_path": "nplight.modules.ViTClassifier", "init_args": model},
        "trainer": {
            "accelerator": "cpu",
            "enable_model_summary": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "callbacks": [
                {"class_path": "nplight.callbacks.NeuronPathSearch", "init_args": {"steps": 2, "kept": [1, 2]}},
                {"class_path": "nplight.callbacks.PathEvaluation", "init_args": {"fractions": [1.0]}},
            ],
        },
    }
    (folder.parent / "mine.yaml").write_text(yaml.safe_dump(config))
    return ["--config", str(folder.parent / "mine.yaml")]


def test_a_folder_of_all_kinds_of_images_goes_through_validate(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["validate", *configuration(folder, on_error="skip")])
    run = tmp_path / "runs" / "mine"
    table = nplight.read_paths(run)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    # 6 of the 7 whole images of each category, by name, number and label.
    assert len(table["file"]) == 3 * 6
    assert "dog/7.jpg" not in table["file"]
    for file, index, label in zip(table["file"], table["index"].tolist(), table["label"].tolist()):
        assert names[index] == file
        assert CATEGORIES[label] == file.split("/")[0]
    assert table["neurons"].shape == (18, 2, 1)

    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["images"] == 3
    conditions = {(row["condition"], row["kept"]) for row in metrics["conditions"]}
    assert conditions >= {("clean", None), ("removed", 1), ("enhanced", 1), ("kept", 1), ("kept", 2)}
    assert all(0 <= row["accuracy"] <= 1 for row in metrics["conditions"])
    settings = json.loads((run / "settings.json").read_text())["search"]
    assert settings["preprocessing"].startswith("16 x 16 pixels, center crop of 0.9, bicubic")
    assert settings["images"] == 21


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({}, r"1 of the 22 images of .*images cannot be read; mend .* on_error: skip \(dog/7.jpg: image file is trunc"),
        ({"preprocessing": "paper"}, r"`image_size` of the preprocessing must be 16 x 16"),
        ({"class_names": "nowhere"}, r"`class_names` must be a text file"),
    ],
)
def test_what_cannot_work_is_refused_before_it_starts(
    folder: Path, data: dict[str, Any], reason: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        main(["validate", *configuration(folder, **data)])
    assert re.search(f"error: {reason}", capsys.readouterr().err)
    assert not list((tmp_path / "runs").rglob("*.parquet"))


def test_two_processes_skip_the_same_image_and_share_the_others(folder: Path, tmp_path: Path) -> None:
    arguments = ["validate", *configuration(folder, on_error="skip")]
    main(arguments)
    main([*arguments, "--run_dir", "two", "--trainer.strategy=ddp_fork", "--trainer.devices=2"])
    one, two = (nplight.read_paths(tmp_path / name) for name in ("runs/mine", "two"))
    assert sorted(two["file"]) == sorted(one["file"])
    assert (tmp_path / "two" / "category_paths.json").read_text() == (
        tmp_path / "runs" / "mine" / "category_paths.json"
    ).read_text()


def test_the_preprocessing_can_be_given_whole_in_the_configuration(folder: Path, tmp_path: Path) -> None:
    given = {"image_size": [16, 16], "mean": [0.1, 0.2, 0.3], "std": [1.0, 1.0, 1.0], "crop_mode": "squash"}
    main(["validate", *configuration(folder, preprocessing=given, max_per_category=2, on_error="skip")])
    settings = json.loads((tmp_path / "runs" / "mine" / "settings.json").read_text())["search"]
    assert settings["preprocessing"] == (
        "16 x 16 pixels, squash crop of 0.875, bicubic, mean (0.1, 0.2, 0.3), std (1, 1, 1)"
    )
    assert settings["images"] == 6


def test_paths_of_a_stranger_are_predicted_with_the_same_preprocessing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = configuration(folder, on_error="skip")
    stranger = folder / "owl" / "5.png"
    main(["predict", *arguments, "--images", str(stranger)])
    assert nplight.read_paths(tmp_path / "runs" / "mine" / "predict")["file"] == [str(stranger)]
    (tmp_path / "=broken.png").write_bytes(b"")
    (tmp_path / "later.png").write_bytes(stranger.read_bytes())
    images = ["--images", str(tmp_path / "=broken.png"), str(tmp_path / "later.png")]
    main(["predict", *arguments, *images, "--run_dir", "skipping"])
    table = nplight.read_paths(tmp_path / "skipping")
    assert table["file"] == [str(tmp_path / "later.png")]
    assert table["index"].tolist() == [1]
    assert (tmp_path / "skipping" / "skipped_files.csv").read_text().splitlines()[1].startswith(f"{tmp_path}/=broken")
    # Broken ones are found before anything is written, also in the last batch.
    with pytest.raises(SystemExit):
        main(["predict", *arguments, *images, "--run_dir", "raising", "--data.init_args.on_error", "raise"])
    assert "1 of the 2 images to predict cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "raising").exists()
    # Other images are another run: their numbers would be taken for those that are there.
    with pytest.raises(SystemExit):
        main(["predict", *arguments, "--images", str(folder / "owl" / "4.png")])
