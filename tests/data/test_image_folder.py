from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from nplight.errors import ArgumentError
from tests.data.samples import SMALL, cut, data_of, samples, save, scramble


def test_samples_are_the_images_at_any_depth_in_order_of_their_names(folder: Path) -> None:
    data = data_of(folder)
    data.setup("validate")
    found = samples(data)
    names = [
        "cat/a.png",
        "cat/b.jpg",
        "cat/d.bmp",
        "cat/deep/er/c.JPEG",
        "cat/e.webp",
        *(f"dog/{n}.jpg" for n in range(4)),
    ]
    assert [sample["file"] for sample in found] == names
    assert [sample["index"] for sample in found] == list(range(9))
    assert [sample["label"] for sample in found] == [0] * 5 + [1] * 4
    assert (data.num_classes, data.class_names, data.skipped) == (2, ("cat", "dog"), ())
    with Image.open(folder / names[3]) as image:
        assert torch.equal(found[3]["image"], SMALL.read(image))


def test_no_image_is_opened_at_construction(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("opened"))
    monkeypatch.setattr("os.walk", lambda *_, **__: pytest.fail("listed"))
    assert data_of(folder).num_classes == 2


def test_one_category_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "only" / "a.jpg")
    with pytest.raises(ArgumentError, match=r"`folder` must hold at least 2 categories .* has only alone"):
        data_of(tmp_path)


def test_categories_with_too_few_images_are_named(folder: Path) -> None:
    (folder / "empty").mkdir()
    save(folder / "single" / "a.jpg")
    with pytest.raises(
        ArgumentError, match=r"must hold at least 2 images, but these have fewer: empty \(0\), single \(1\); add images"
    ):
        data_of(folder).setup("validate")


def test_broken_images_are_refused_together_before_work_starts(folder: Path) -> None:
    cut(folder / "cat" / "a.png")
    cut(folder / "dog" / "2.jpg")
    cut(folder / "cat" / "e.webp")
    (folder / "dog" / "3.jpg").write_text("<html>not found</html>")
    with pytest.raises(
        ArgumentError, match=r"4 of the 9 images of .*images cannot be read; .* on_error: skip"
    ) as caught:
        data_of(folder).setup("test")
    for reason in (
        r"cat/a.png: image file is truncated",
        r"cat/e.webp: could not",
        r"dog/2.jpg: image file is truncated",
        r"dog/3.jpg: cannot identify image file;?\)?",
    ):
        caught.match(reason)


def test_broken_images_are_left_out_and_the_others_keep_their_numbers(folder: Path) -> None:
    before = {sample["file"]: sample["index"] for sample in samples(data_of(folder))}
    cut(folder / "cat" / "b.jpg")
    data = data_of(folder, on_error="skip")
    data.setup("validate")
    ((file, reason),) = data.skipped
    assert file == "cat/b.jpg"
    assert "truncated" in reason
    found = {sample["file"]: sample["index"] for sample in samples(data)}
    del before["cat/b.jpg"]
    assert found == before
    cut(folder / "dog" / "0.jpg")
    cut(folder / "dog" / "1.jpg")
    cut(folder / "dog" / "2.jpg")
    with pytest.raises(ArgumentError, match=r"at least 2 images that can be read, but these have fewer: dog \(1\)"):
        data_of(folder, on_error="skip").setup("validate")


def test_fewer_images_keep_their_numbers_and_only_they_are_looked_at(folder: Path) -> None:
    whole = {sample["file"]: sample["index"] for sample in samples(data_of(folder))}
    data = data_of(folder, max_per_category=2)
    found = {sample["file"]: sample["index"] for sample in samples(data)}
    assert len(found) == 4
    assert found.items() <= whole.items()
    cut(folder / next(iter(set(whole) - set(found))))
    data_of(folder, max_per_category=2).setup("validate")


def test_training_images_are_augmented_and_have_the_same_categories(folder: Path, tmp_path: Path) -> None:
    for number, category in enumerate(["cat", "dog", "dog"]):
        save(tmp_path / "train" / category / f"{number}.jpg", number)
    data = data_of(folder, train_folder=str(tmp_path / "train"))
    data.setup("fit")
    train = data.train_data()
    torch.manual_seed(0)
    assert train[0]["image"].shape == (3, 8, 8)
    assert not torch.equal(train[0]["image"], train[0]["image"])
    assert [train[position]["label"] for position in range(3)] == [0, 1, 1]
    assert train[2]["file"] == "dog/2.jpg"

    cut(tmp_path / "train" / "dog" / "2.jpg")
    with pytest.raises(ArgumentError, match=r"1 of the 3 images of .*train cannot be read; .*dog/2\.jpg"):
        data_of(folder, train_folder=str(tmp_path / "train")).setup("fit")
    (tmp_path / "train" / "cow").mkdir()
    with pytest.raises(ArgumentError, match=r"`train_folder` must have the class folders of `folder`, but it .*: cow"):
        data_of(folder, train_folder=str(tmp_path / "train")).setup("fit")


def test_images_to_train_on_must_be_given_and_be_others(folder: Path) -> None:
    with pytest.raises(ArgumentError, match="`train_folder` must be given to fit"):
        data_of(folder).setup("fit")
    with pytest.raises(ArgumentError, match="`train_folder` must be another folder than `folder`"):
        data_of(folder, train_folder=f"{folder}/cat/..").setup("fit")
    # The other commands do not look there.
    data_of(folder, train_folder=f"{folder}/nowhere").setup("validate")


def test_loader_processes_name_the_broken_image(folder: Path) -> None:
    scramble(folder / "cat" / "a.png")
    data = data_of(folder, num_workers=1)
    with pytest.raises(ArgumentError, match=r"cat/a\.png cannot be read as an image"):
        [batch for loader in data.val_dataloader() for batch in loader]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"on_error": "ignore"}, "`on_error` must be one of 'raise', 'skip', got 'ignore'"),
        ({"check": "none"}, "`check` must be one of 'quick', 'full', got 'none'"),
        ({"preprocessing": "mine"}, "`preprocessing` must be one of 'weights', 'paper', got 'mine'"),
        ({"preprocessing_overrides": {"size": 3}}, "was to be overridden in size"),
        ({"preprocessing": "weights", "preprocessing_overrides": {"crop_pct": 2}}, "`crop_pct` must be a fraction"),
        ({"max_per_category": 1}, "`max_per_category` must be an integer of at least 2, got 1"),
        ({"batch_size": 0}, "`batch_size` must be an integer of at least 1, got 0"),
    ],
)
def test_bad_arguments_are_refused_at_construction(folder: Path, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        data_of(folder, **options)
