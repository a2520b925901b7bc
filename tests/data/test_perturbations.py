from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from nplight.data import PERTURBATIONS, SEVERITIES, PixelScale, perturbed
from nplight.errors import ArgumentError
from nplight.seeds import checksums

SCALE = PixelScale((0.5, 0.4, 0.3), (0.5, 0.25, 0.2))


def pictures(count: int = 3, size: int = 16) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 4, 4, generator=draw, dtype=torch.float64)
    pixels = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    return SCALE.normalised(pixels)


def apply(images: Tensor, name: str, severity: int, seed: int = 0) -> Tensor:
    return perturbed(images, name, severity, scale=SCALE, checksums=checksums(images), seed=seed)


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_an_image_is_perturbed_alike_in_every_batch_and_more_with_severity(name: str) -> None:
    images = pictures()
    before = images.clone()
    together = [apply(images, name, severity) for severity in SEVERITIES]
    assert torch.equal(images, before)
    for severity, changed in zip(SEVERITIES, together):
        alone = torch.cat([apply(image[None], name, severity) for image in images])
        assert torch.equal(alone, changed)
        assert (changed.dtype, changed.shape) == (images.dtype, images.shape)
        pixels = SCALE.pixels(changed)
        assert 0 <= pixels.min() <= pixels.max() <= 1
    change = [(changed - images).abs().mean().item() for changed in together]
    assert change[0] > 1e-4
    assert change == sorted(change)
    assert len(set(change)) == 5


def test_the_seed_changes_the_noise_and_nothing_else() -> None:
    images = pictures()
    assert not torch.equal(apply(images, "noise", 1), apply(images, "noise", 1, seed=1))
    for name in set(PERTURBATIONS) - {"noise"}:
        assert torch.equal(apply(images, name, 3), apply(images, name, 3, seed=1))


def test_noise_has_its_deviation_and_no_channel_or_image_has_that_of_another() -> None:
    images = SCALE.normalised(torch.full((2, 3, 32, 32), 0.5))
    images[1] += 1e-6
    noise = SCALE.pixels(apply(images, "noise", 1)) - SCALE.pixels(images)
    assert noise.std().item() == pytest.approx(PERTURBATIONS["noise"].levels[0], rel=0.05)
    rows = noise.flatten(2).flatten(0, 1)
    assert (rows.corrcoef() - torch.eye(6)).abs().max() < 0.15


def test_blur_is_a_gaussian_filter() -> None:
    images = pictures(1, 32)
    blurred = SCALE.pixels(apply(images, "blur", 3))[0].numpy()
    deviation = PERTURBATIONS["blur"].levels[2] * 32**0.5
    pixels = SCALE.pixels(images)[0].numpy()
    expected = [ndimage.gaussian_filter(channel, deviation, mode="mirror", truncate=3) for channel in pixels]
    assert np.abs(blurred - np.stack(expected)).max() < 2e-3


def test_jpeg_of_one_channel_is_of_one_channel() -> None:
    scale = PixelScale((0.5,), (0.5,))
    images = pictures(1)[:, :1].clamp(-1, 1)
    changed = perturbed(images, "jpeg", 5, scale=scale, checksums=[1])
    assert changed.shape == images.shape
    assert 0 < (changed - images).abs().mean() < 0.2


def test_jpeg_is_that_of_pil() -> None:
    images = pictures(1)
    whole = (SCALE.pixels(images)[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(whole).save(file, "JPEG", quality=10)
    expected = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1).double() / 255
    assert (SCALE.pixels(apply(images, "jpeg", 4))[0] - expected).abs().max() <= 1e-9


def test_brightness_multiplies() -> None:
    images = pictures(1)
    expected = (SCALE.pixels(images) * 1.3).clamp(max=1)
    torch.testing.assert_close(SCALE.pixels(apply(images, "brightness", 3)), expected)


def test_what_cannot_be_done_is_refused() -> None:
    images = pictures(1)
    with pytest.raises(ArgumentError, match=r"`perturbations` must be one of 'noise', .*, got 'fog'"):
        apply(images, "fog", 1)
    with pytest.raises(ArgumentError, match="`severity` must be one of"):
        apply(images, "noise", 6)
    two = PixelScale((0.5, 0.5), (0.5, 0.5))
    with pytest.raises(ArgumentError, match="'jpeg' for images of 1 or 3 channels, got 2"):
        perturbed(torch.zeros(1, 2, 8, 8), "jpeg", 1, scale=two, checksums=[1])
