from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader

from nplight.data import DigitsDataModule, ImageFiles
from nplight.errors import ArgumentError


def indices(loader: DataLoader[dict[str, torch.Tensor]]) -> list[int]:
    return [index for batch in loader for index in batch["index"].tolist()]


def test_no_image_is_in_two_of_training_discover_and_held_out() -> None:
    data = DigitsDataModule(batch_size=100)
    train = data.train_data().index.tolist()
    discover, held_out = (indices(loader) for loader in data.val_dataloader())
    assert sorted(train + discover + held_out) == list(range(1797))
    assert len(train) == pytest.approx(0.6 * 1797, abs=5)
    assert len(discover) == pytest.approx(0.8 * 0.4 * 1797, abs=5)
    assert indices(data.test_dataloader()) == held_out


def test_a_sample_is_the_scan_upscaled_with_its_label_index_and_name() -> None:
    bunch = load_digits()
    batch = next(iter(DigitsDataModule(batch_size=8).test_dataloader()))
    assert batch["image"].shape == (8, 3, 16, 16)
    index = int(batch["index"][5])
    assert int(batch["label"][5]) == bunch.target[index]
    assert batch["file"][5] == f"digits/{index:04d}"
    # Bilinear upscaling to twice the size keeps each scan's mean but for its edges.
    scan = torch.from_numpy(bunch.images[index]).float() / 16 * 2 - 1
    averaged = torch.nn.functional.avg_pool2d(batch["image"][5, :1], 2)[0]
    assert torch.corrcoef(torch.stack([averaged.flatten(), scan.flatten()]))[0, 1] > 0.95
    assert batch["image"].min() >= -1
    assert batch["image"].max() <= 1


def test_only_training_images_are_augmented_and_seeds_fix_how() -> None:
    data = DigitsDataModule()
    train = data.train_data()
    torch.manual_seed(0)
    first = train[3]["image"]
    assert not torch.equal(train[3]["image"], first)
    torch.manual_seed(0)
    assert torch.equal(train[3]["image"], first)
    held_out = data.splits()[1]
    assert torch.equal(held_out[3]["image"], held_out[3]["image"])


def test_split_seeds_move_images_between_discover_and_held_out_alone() -> None:
    one, other = DigitsDataModule(split_seed=0), DigitsDataModule(split_seed=1)
    assert one.train_data().index.tolist() == other.train_data().index.tolist()
    assert indices(one.test_dataloader()) != indices(other.test_dataloader())
    assert one.identity() != other.identity()
    assert one.identity() == DigitsDataModule().identity()


def test_a_digit_read_from_a_file_is_close_to_the_same_digit_of_the_data_set(tmp_path: Path) -> None:
    data = DigitsDataModule()
    sample = data.splits()[1][0]
    scan = load_digits().images[sample["index"]]
    Image.fromarray((scan * 255 / 16).astype(np.uint8)).save(tmp_path / "digit.png")
    files = ImageFiles([str(tmp_path)], data.read_image)
    assert len(files) == 1
    assert files[0]["file"] == str(tmp_path / "digit.png")
    assert (files[0]["image"] - sample["image"]).abs().max() < 0.02


def test_broken_images_to_predict_are_skipped_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    for name in ("b.png", "d.png"):
        Image.new("L", (8, 8)).save(tmp_path / name)
    whole = DigitsDataModule(predict_images=[str(tmp_path)], on_error="skip")
    (batch,) = whole.predict_dataloader()
    assert batch["index"].tolist() == [0, 1]
    assert whole.skipped == ()
    for name in ("a.png", "c.png"):
        (tmp_path / name).touch()
    data = DigitsDataModule(predict_images=[str(tmp_path)], on_error="skip")
    data.setup("predict")
    assert [file for file, _ in data.skipped] == [f"{tmp_path}/a.png", f"{tmp_path}/c.png"]
    (batch,) = data.predict_dataloader()
    assert batch["file"] == [f"{tmp_path}/b.png", f"{tmp_path}/d.png"]
    assert batch["index"].tolist() == [1, 3]
    assert len(data.skipped) == 2
    data.predict_images = [f"{tmp_path}/a.png"]
    with pytest.raises(ArgumentError, match=r"`images` must hold at least one image that can be read, got .*a\.png"):
        data.predict_dataloader()


@pytest.mark.parametrize(("name", "value"), [("batch_size", 0), ("num_workers", -1)])
def test_bad_arguments_are_refused(name: str, value: int) -> None:
    with pytest.raises(ArgumentError, match=f"`{name}` must be an integer of at least"):
        DigitsDataModule(**{name: value})
