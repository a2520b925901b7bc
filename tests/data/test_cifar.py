from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100

from nplight.data import CIFAR10DataModule, CIFAR100DataModule, Preprocessing
from nplight.errors import ArgumentError

SMALL = Preprocessing((32, 32), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), crop_pct=1.0)
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def write(folder: Path, name: str, content: dict[str, Any]) -> tuple[str, str]:
    """A pickled file as torchvision expects it: its name and checksum."""
    folder.mkdir(parents=True, exist_ok=True)
    data = pickle.dumps(content)
    (folder / name).write_bytes(data)
    return name, hashlib.md5(data).hexdigest()


def part(count: int, key: str, categories: int, seed: int) -> dict[str, Any]:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 3 * 32 * 32), dtype=np.uint8)
    return {"data": pixels, key: [number % categories for number in range(count)]}


@pytest.fixture
def cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """50 training and 40 test images of noise, as torchvision keeps CIFAR-10."""
    folder = tmp_path / CIFAR10.base_folder
    train = [write(folder, f"data_batch_{n}", part(10, "labels", 10, n)) for n in range(1, 6)]
    test = [write(folder, "test_batch", part(40, "labels", 10, 9))]
    name, checksum = write(folder, "batches.meta", {"label_names": list(NAMES)})
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", test)
    monkeypatch.setattr(CIFAR10, "meta", {"filename": name, "key": "label_names", "md5": checksum})
    return tmp_path


@pytest.fixture
def cifar100(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / CIFAR100.base_folder
    monkeypatch.setattr(CIFAR100, "train_list", [write(folder, "train", part(100, "fine_labels", 100, 0))])
    monkeypatch.setattr(CIFAR100, "test_list", [write(folder, "test", part(300, "fine_labels", 100, 1))])
    name, checksum = write(folder, "meta", {"fine_label_names": [f"fine {number}" for number in range(100)]})
    monkeypatch.setattr(CIFAR100, "meta", {"filename": name, "key": "fine_label_names", "md5": checksum})
    return tmp_path


def data_of(root: Path, **options: Any) -> CIFAR10DataModule:
    return CIFAR10DataModule(**{"root": str(root), "preprocessing": SMALL, "num_workers": 0, **options})


def test_paths_are_found_and_tested_on_the_test_images(cifar10: Path) -> None:
    data = data_of(cifar10)
    data.setup("validate")
    images, labels = data.evaluation_data()
    assert labels.tolist() == [number % 10 for number in range(40)]
    sample = images[17]
    assert {name: sample[name] for name in ("label", "index", "file")} == {
        "label": 7,
        "index": 17,
        "file": "test/00017",
    }
    pixels = part(40, "labels", 10, 9)["data"][17].reshape(3, 32, 32)
    assert torch.equal(sample["image"], SMALL.read(Image.fromarray(pixels.transpose(1, 2, 0))))
    discover, held_out = ([n for batch in loader for n in batch["index"].tolist()] for loader in data.val_dataloader())
    assert sorted(discover + held_out) == list(range(40))
    assert len(held_out) == 10
    assert (data.num_classes, data.class_names) == (10, NAMES)


def test_training_uses_the_training_images_augmented(cifar10: Path) -> None:
    data = data_of(cifar10)
    data.setup("fit")
    train = data.train_data()
    assert [train[position]["file"] for position in (0, 49)] == ["train/00000", "train/00049"]
    torch.manual_seed(0)
    assert not torch.equal(train[0]["image"], train[0]["image"])


def test_a_few_images_of_each_category_keep_their_numbers(cifar10: Path) -> None:
    images, labels = data_of(cifar10, max_per_category=2).evaluation_data()
    assert labels.bincount().tolist() == [2] * 10
    assert [images[position]["index"] % 10 for position in range(20)] == labels.tolist()


def test_the_fine_categories_of_cifar_100(cifar100: Path) -> None:
    data = CIFAR100DataModule(root=str(cifar100), preprocessing=SMALL)
    data.setup("validate")
    assert data.num_classes == len(data.class_names) == 100
    assert data.class_names[3] == "fine 3"
    assert len(data.evaluation_data()[1]) == 300
    assert data.identity()["data"] == "CIFAR100DataModule"


def test_what_is_not_there_is_said_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(
        ArgumentError, match=r"`root` must be the folder that holds CIFAR10's cifar-10-batches-py/.*download: true"
    ) as caught:
        data_of(tmp_path)
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(ArgumentError, match="CIFAR100's cifar-100-python/"):
        CIFAR100DataModule(root=str(tmp_path))


def test_a_damaged_file_is_refused_before_work_starts(cifar10: Path) -> None:
    (cifar10 / CIFAR10.base_folder / "test_batch").write_bytes(b"cut")
    with pytest.raises(ArgumentError, match=r"which is not there, or not whole in .*download: true"):
        data_of(cifar10).setup("validate")


def test_nothing_is_downloaded_that_is_there_or_not_asked_for(
    cifar10: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", fail)
    data_of(cifar10).prepare_data()
    data_of(cifar10, download=True).prepare_data()
    missing = data_of(tmp_path / "elsewhere", download=True)
    with pytest.raises(ArgumentError, match=r"`download`: CIFAR10 cannot be fetched to .*elsewhere \(no network\)"):
        missing.prepare_data()
