from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.accelerators import CPUAccelerator, CUDAAccelerator
from PIL import Image
from torch import nn

from nplight.data import ImageFolderDataModule, Preprocessing
from nplight.data.labelled import choose
from nplight.data.module import default_workers
from nplight.errors import ArgumentError

SMALL = Preprocessing((8, 8), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def save(path: Path, seed: int = 0, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def cut(path: Path, share: float = 0.6) -> Path:
    """Truncate a file, as a download that was broken off is."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


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


def data_of(folder: Path, /, **options: Any) -> ImageFolderDataModule:
    return ImageFolderDataModule(**{"folder": str(folder), "preprocessing": SMALL, "num_workers": 0, **options})


def samples(data: ImageFolderDataModule) -> list[dict[str, Any]]:
    images, labels = data.evaluation_data()
    found = [images[position] for position in range(len(labels))]
    assert [sample["label"] for sample in found] == labels.tolist()
    return found


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


def test_discover_and_held_out_are_apart_and_stratified(folder: Path) -> None:
    data = data_of(folder, batch_size=4)
    discover, held_out = (
        [index for batch in loader for index in batch["index"].tolist()] for loader in data.val_dataloader()
    )
    assert sorted(discover + held_out) == list(range(9))
    assert len(held_out) == 2
    assert [index for batch in data.test_dataloader() for index in batch["index"].tolist()] == held_out


def test_no_image_is_opened_at_construction(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("opened"))
    monkeypatch.setattr("os.walk", lambda *_, **__: pytest.fail("listed"))
    assert data_of(folder).num_classes == 2


def test_a_file_of_class_names_gives_the_order_and_readable_names(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("dog\tthe dog, barking\n\ncat\n")
    data = data_of(folder, class_names=str(tmp_path / "names.txt"))
    assert data.class_names == ("the dog, barking", "cat")
    assert [sample["label"] for sample in samples(data)] == [1] * 5 + [0] * 4


def test_a_class_folder_may_have_spaces_in_its_name(tmp_path: Path) -> None:
    for name in ("great white shark", "great"):
        for number in range(2):
            save(tmp_path / "images" / name / f"{number}.jpg")
    (tmp_path / "names.txt").write_text("great white shark\ngreat\n")
    assert data_of(tmp_path / "images", class_names=str(tmp_path / "names.txt")).class_names == (
        "great white shark",
        "great",
    )


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("dog\ncat\ndog again\n", "names.txt names twice: dog"),
        ("dog\ncow\n", "names.txt lacks: cat; has, but there is no such class folder: cow"),
        ("", "lacks: cat, dog"),
    ],
)
def test_class_names_that_do_not_match_are_refused(folder: Path, tmp_path: Path, lines: str, reason: str) -> None:
    (tmp_path / "names.txt").write_text(lines)
    with pytest.raises(ArgumentError, match=rf"`class_names` must name every class folder once, but .*{reason}"):
        data_of(folder, class_names=str(tmp_path / "names.txt"))


def test_class_names_that_cannot_be_read_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"`class_names` must be a text file .*nowhere is none"):
        data_of(folder, class_names="nowhere")
    with pytest.raises(ArgumentError, match="`class_names` must be a text file in UTF-8"):
        data_of(folder, class_names=str(folder / "cat" / "b.jpg"))


@pytest.mark.parametrize("argument", ["folder", "train_folder"])
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nowhere", "nowhere does not exist"),
        ("images/readme.md", "readme.md is a file"),
        ("images/dog", "dog holds no folder"),
    ],
)
def test_a_folder_that_has_no_class_folders_is_refused(folder: Path, argument: str, path: str, reason: str) -> None:
    with pytest.raises(ArgumentError, match=f"`{argument}` must be a folder with a folder of images .*{reason}"):
        data_of(folder, **{argument: str(folder.parent / path)}).setup("fit")


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


def scramble(path: Path) -> None:
    """Damage the middle of a PNG and leave its beginning and end."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    path.write_bytes(content)


def test_a_full_check_finds_damage_that_a_quick_one_does_not(folder: Path) -> None:
    scramble(folder / "cat" / "a.png")
    quick = data_of(folder)
    quick.setup("validate")
    with pytest.raises(ArgumentError, match=r"images/cat/a\.png cannot be read as an image: .*check: full"):
        samples(quick)
    with pytest.raises(ArgumentError, match=r"1 of the 9 images of .* cannot be read; .*cat/a.png"):
        data_of(folder, check="full").setup("validate")


def trailing(content: bytes) -> bytes:
    return content + bytes(5000)


def headless(content: bytes) -> bytes:
    return content[:-2]


@pytest.mark.parametrize("change", [trailing, headless])
def test_an_odd_end_is_decoded_before_it_is_called_broken(folder: Path, change: Callable[[bytes], bytes]) -> None:
    path = folder / "cat" / "a.png"
    path.write_bytes(change(path.read_bytes()))
    data_of(folder).setup("validate")


def test_deep_images_are_found_before_work_starts(folder: Path) -> None:
    Image.fromarray(np.full((8, 8), 1000, dtype=np.uint16)).save(folder / "dog" / "deep.png")
    with pytest.raises(ArgumentError, match=r"dog/deep\.png: its pixels have more than 8 bits"):
        data_of(folder).setup("validate")


def test_the_images_of_a_category_are_chosen_by_the_seed_and_the_category_alone() -> None:
    labels = torch.tensor([0] * 30 + [1] * 20 + [2] * 3)
    chosen = choose(labels, 5, seed=0)
    assert labels[chosen].tolist() == [0] * 5 + [1] * 5 + [2] * 3
    assert chosen.tolist() == sorted(chosen.tolist())
    alone = choose(torch.tensor([1] * 20), 5, seed=0) + 30
    assert torch.equal(chosen[5:10], alone)
    # More of them are the same ones and others.
    assert set(chosen.tolist()) < set(choose(labels, 8, seed=0).tolist())
    assert not torch.equal(chosen, choose(labels, 5, seed=1))
    assert choose(labels, None, seed=0).tolist() == list(range(53))


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


class Wrapped(LightningModule):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model


def attached(data: ImageFolderDataModule, **arguments: Any) -> ImageFolderDataModule:
    """The data as a Trainer would have it that runs a tiny ViT."""
    settings = {"img_size": 16, "patch_size": 4, "embed_dim": 16, "depth": 1, "num_heads": 2, "num_classes": 2}
    model = Wrapped(timm.create_model("vit_tiny_patch16_224", **{**settings, **arguments}))
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        lightning_module=model, world_size=1, state=SimpleNamespace(fn="validate"), accelerator=CPUAccelerator()
    )
    return data


def test_the_preprocessing_comes_from_the_trainers_model_and_is_said_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("nplight.data.labelled.rank_zero_info", said.append)
    data = data_of(folder, preprocessing="weights", preprocessing_overrides={"interpolation": "bilinear"})
    with pytest.raises(ArgumentError, match="`preprocessing` 'weights' is known once a Trainer"):
        data.evaluation_data()
    attached(data).setup("validate")
    data.setup("validate")
    expected = Preprocessing((16, 16), (0.5,) * 3, (0.5,) * 3, "bilinear", 0.9, "center")
    assert data.preprocessing == expected
    assert said == [f"Preprocessing: {expected.describe()}"]
    assert samples(data)[0]["image"].shape == (3, 16, 16)
    assert data.read_image(Image.new("L", (30, 30))).shape == (3, 16, 16)


@pytest.mark.parametrize(
    ("options", "model", "reason"),
    [
        ({"preprocessing": "paper"}, {}, "`image_size` of the preprocessing must be 16 x 16, which .*, got 224 x 224"),
        (
            {"preprocessing": "weights", "preprocessing_overrides": {"image_size": 18}},
            {"dynamic_img_size": True},
            "must be a multiple of the model's patch size 4 x 4, got 18 x 18",
        ),
        ({"preprocessing": "weights"}, {"in_chans": 1}, "must take images of 3 channels, .*, but it takes 1"),
    ],
)
def test_images_that_the_model_does_not_take_are_refused_before_work_starts(
    folder: Path, options: dict[str, Any], model: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ArgumentError, match=reason):
        attached(data_of(folder, **options), **model).setup("validate")


def test_any_size_that_the_patch_size_divides_suits_a_model_of_any_size(folder: Path) -> None:
    attached(data_of(folder, preprocessing_overrides={"image_size": 20}), dynamic_img_size=True).setup("validate")


def test_weights_that_tell_nothing_are_refused(folder: Path) -> None:
    data = attached(data_of(folder, preprocessing="weights"))
    data.trainer.lightning_module = Wrapped(nn.Linear(2, 2))  # type: ignore[union-attr]
    with pytest.raises(ArgumentError, match=r"`preprocessing` cannot come from the weights: .*; give a Preprocessing"):
        data.setup("validate")


def test_the_identity_tells_files_labels_and_preprocessing_apart(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("dog\ncat\n")
    identity = data_of(folder).identity()
    assert identity == data_of(folder).identity()
    others = [
        data_of(folder, preprocessing="paper").identity(),
        data_of(folder, split_seed=1).identity(),
        data_of(folder, max_per_category=2).identity(),
        data_of(folder, class_names=str(tmp_path / "names.txt")).identity(),
    ]
    (folder / "dog" / "0.jpg").rename(folder / "dog" / "9.jpg")
    others.append(data_of(folder).identity())
    assert identity not in others
    assert identity["preprocessing"] == SMALL.describe()


def test_what_is_predicted_is_its_images_not_the_folders(folder: Path) -> None:
    cut(folder / "dog" / "2.jpg")
    data = attached(
        data_of(
            folder,
            preprocessing="weights",
            predict_images=[str(folder / "cat" / "deep"), *map(str, folder.glob("dog/[01].jpg"))],
        )
    )
    data.trainer.state.fn = "predict"  # type: ignore[union-attr]
    data.setup("predict")
    identity = data.identity()
    (batch,) = data.predict_dataloader()
    assert len(batch["file"]) == identity["images"] == 3
    data.predict_images = [str(folder / "cat" / "a.png")]
    assert data.identity() != identity


@pytest.mark.parametrize(("accelerator", "pins"), [(CPUAccelerator, False), (CUDAAccelerator, True)])
def test_memory_is_pinned_for_cuda_and_loader_processes_stay(folder: Path, accelerator: type, pins: bool) -> None:
    data = attached(data_of(folder, num_workers=2))
    data.trainer.accelerator = accelerator()  # type: ignore[union-attr]
    for loader in data.val_dataloader():
        assert loader.pin_memory == pins
        assert loader.persistent_workers


def test_loader_processes_name_the_broken_image(folder: Path) -> None:
    scramble(folder / "cat" / "a.png")
    data = data_of(folder, num_workers=1)
    with pytest.raises(ArgumentError, match=r"cat/a\.png cannot be read as an image"):
        [batch for loader in data.val_dataloader() for batch in loader]


@pytest.mark.parametrize(("processors", "workers"), [(1, 0), (2, 0), (4, 3), (64, 8)])
def test_the_processors_decide_how_many_loader_processes(
    processors: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(processors)), raising=False)
    assert default_workers() == workers


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
