from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from nplight.data import Preprocessing
from nplight.data.labelled import choose
from nplight.errors import ArgumentError
from tests.data.samples import SMALL, Wrapped, attached, data_of, samples


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
