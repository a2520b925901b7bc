from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torchvision import transforms

from nplight.data import Preprocessing
from nplight.errors import ArgumentError

PLAIN = Preprocessing((8, 8), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bilinear", 1.0, "squash")


def noise(height: int = 40, width: int = 60, channels: int = 3) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze())


def tiny(name: str, **arguments: Any) -> nn.Module:
    return timm.create_model(name, depth=1, embed_dim=16, num_heads=2, **arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("vit_base_patch16_224", {}, Preprocessing((224, 224), (0.5,) * 3, (0.5,) * 3, "bicubic", 0.9, "center")),
        (
            "vit_base_patch16_224.mae",
            {},
            Preprocessing((224, 224), IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, "bicubic", 0.9, "center"),
        ),
        ("vit_base_patch32_384", {}, Preprocessing((384, 384), (0.5,) * 3, (0.5,) * 3, "bicubic", 1.0, "center")),
        # The size that the model was built for, not that of its published weights.
        (
            "vit_base_patch16_224",
            {"img_size": (32, 48)},
            Preprocessing((32, 48), (0.5,) * 3, (0.5,) * 3, "bicubic", 0.9, "center"),
        ),
    ],
)
def test_the_weights_tell_the_preprocessing(name: str, arguments: dict[str, Any], expected: Preprocessing) -> None:
    assert Preprocessing.of(tiny(name, **arguments)) == expected


@pytest.mark.parametrize("model", [nn.Linear(2, 2), VisionTransformer(depth=1, embed_dim=16, num_heads=2)])
def test_other_models_do_not_tell_theirs(model: nn.Module) -> None:
    with pytest.raises(ArgumentError, match=rf"this is a {type(model).__name__}; give it explicitly"):
        Preprocessing.of(model)


def test_the_papers_is_the_published_programs() -> None:
    published = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )
    for image in (noise(), noise(300, 250)):
        assert torch.equal(Preprocessing.paper().read(image), published(image))


def test_a_centre_crop_keeps_the_aspect_ratio_and_squashing_gives_it_up() -> None:
    image = Image.new("RGB", (64, 32))
    image.paste((255, 255, 255), (16, 0, 48, 32))
    nearest = PLAIN.override(interpolation="nearest")
    assert nearest.override(crop_mode="center").read(image)[0, 4].tolist() == [1] * 8
    assert nearest.read(image)[0, 4].tolist() == [0, 0, 1, 1, 1, 1, 0, 0]
    assert nearest.override(crop_mode="border").read(image)[0, :, 4].tolist() == [0, 0, 1, 1, 1, 1, 0, 0]


def test_reading_gives_the_same_every_time_and_augmenting_does_not() -> None:
    preprocessing, image = PLAIN.override(image_size=(12, 20)), noise()
    assert torch.equal(preprocessing.read(image), preprocessing.read(image))

    def augmented(seed: int) -> Tensor:
        random.seed(seed)
        torch.manual_seed(seed)
        return preprocessing.read_augmented(image)

    assert preprocessing.read(image).shape == augmented(0).shape == (3, 12, 20)
    assert torch.equal(augmented(0), augmented(0))
    assert not torch.equal(augmented(0), augmented(1))


def test_augmenting_flips_and_crops_but_changes_no_colour() -> None:
    image = Image.new("RGB", (32, 32), (10, 20, 30))
    for _ in range(5):
        result = PLAIN.read_augmented(image)
        assert torch.equal(result, PLAIN.read(image))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_mode_is_read_as_red_green_and_blue(mode: str) -> None:
    image = noise().convert(mode)
    result = PLAIN.read(image)
    assert result.shape == (3, 8, 8)
    assert result.dtype == torch.float32
    assert torch.equal(result, PLAIN.read(image.convert("RGB")))
    if mode in ("1", "L", "LA"):
        assert torch.equal(result[0], result[1])


@pytest.mark.parametrize("transparency", [0, b"\x00\x80\xff"])
def test_a_palette_with_transparency_is_read_without_a_warning(transparency: int | bytes) -> None:
    image = noise().convert("P")
    plain = PLAIN.read(image)
    image.info["transparency"] = transparency
    assert torch.equal(PLAIN.read(image), plain)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_more_than_eight_bits_are_refused_not_clipped(kind: type) -> None:
    image = Image.fromarray(np.full((8, 8), 1000, dtype=kind))
    with pytest.raises(
        ArgumentError, match=r"cannot be read: its pixels have more than 8 bits .* convert it to 8 bits"
    ):
        PLAIN.read(image)


def test_some_attributes_can_be_overridden_as_a_configuration_file_writes_them() -> None:
    changed = Preprocessing.paper().override(image_size=[384, 384], mean=[0.5, 0.5, 0.5], crop_pct=0.9)
    assert changed.image_size == (384, 384)
    assert changed.mean == (0.5, 0.5, 0.5)
    assert (changed.std, changed.interpolation) == (IMAGENET_DEFAULT_STD, "bilinear")
    assert Preprocessing.paper().override(image_size=384).image_size == (384, 384)
    assert Preprocessing.paper().override() == Preprocessing.paper()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"size": 3, "mode": 1}, "preprocessing has image_size, mean, .*, but was to be overridden in size, mode"),
        ({"image_size": (224,)}, r"`image_size` must be height and width, 2 numbers, got \(224,\)"),
        ({"image_size": (224, 0)}, "`image_size` must be an integer of at least 1, got 0"),
        ({"image_size": "224"}, "`image_size` must be height and width, 2 numbers, got '224'"),
        ({"mean": (0.5, 0.5)}, "`mean` must be a number for each of red, green and blue, 3 numbers"),
        ({"mean": (0.5, 0.5, float("nan"))}, "`mean` must be a number for each"),
        ({"std": (0.5, 0.5, 0)}, "`std` must be above 0 for each channel"),
        ({"interpolation": "random"}, "`interpolation` must be one of 'nearest', .*, got 'random'"),
        ({"crop_mode": "corner"}, "`crop_mode` must be one of 'center', 'squash', 'border', got 'corner'"),
        ({"crop_pct": 87.5}, r"`crop_pct` must be a fraction in \(0, 1\] .*, got 87.5"),
    ],
)
def test_bad_overrides_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        Preprocessing.paper().override(**changes)


def test_one_line_describes_it_and_tells_it_from_others() -> None:
    paper = Preprocessing.paper()
    assert paper.describe() == (
        "224 x 224 pixels, squash crop of 1, bilinear, mean (0.485, 0.456, 0.406), std (0.229, 0.224, 0.225)"
    )
    changes: list[dict[str, Any]] = [
        {"image_size": 225},
        {"mean": (0.5, 0.5, 0.5)},
        {"std": (0.5, 0.5, 0.5)},
        {"interpolation": "bicubic"},
        {"crop_pct": 0.9},
        {"crop_mode": "center"},
    ]
    assert len({paper.describe(), *(paper.override(**change).describe() for change in changes)}) == 7
