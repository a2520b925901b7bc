from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nplight.data import DigitsDataModule, ImageFolderDataModule, PixelScale, Preprocessing
from nplight.errors import ArgumentError


def test_pixels_are_what_was_normalised() -> None:
    scale = PixelScale((0.4, 0.5, 0.6), (0.2, 0.3, 0.1))
    pixels = torch.rand(4, 3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    images = torch.stack([(pixels[:, c] - scale.mean[c]) / scale.std[c] for c in range(3)], 1)
    torch.testing.assert_close(scale.normalised(pixels), images)
    torch.testing.assert_close(scale.pixels(images), pixels)


def test_images_of_another_normalisation_are_refused() -> None:
    scale = PixelScale((0.5,) * 3, (0.5,) * 3)
    with pytest.raises(ArgumentError, match=r"`mean` .* must be those .* but they give -2.5 … 0.5; set `mean`"):
        scale.pixels(torch.tensor([-6.0, 0.0]).expand(1, 3, 1, 2))
    with pytest.raises(ArgumentError, match=r"must be those that the images were normalised by"):
        scale.pixels(torch.full((1, 3, 1, 1), torch.nan))
    with pytest.raises(ArgumentError, match="must be of the images' 1 channels, got 3 numbers"):
        scale.pixels(torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize(
    ("mean", "std", "reason"),
    [
        ((0.5,), (0.0,), "`std` must be above 0 for each channel"),
        ((0.5,), (0.5, 0.5), "must be of as many channels, got 1 and 2"),
        ((), (), "`mean` must be a number for each channel, got"),
        ("abc", (1.0,), "`mean` must be a number for each channel, got 'abc'"),
        ((0.5,), (float("nan"),), "`std` must be a number for each channel"),
        ((True,), (1.0,), "`mean` must be a number for each channel"),
    ],
)
def test_bad_numbers_are_refused(mean: Any, std: Any, reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        PixelScale(mean, std)


def test_the_data_modules_know_theirs(tmp_path: Path) -> None:
    digits = DigitsDataModule()
    data, _ = digits.evaluation_data()
    pixels = digits.pixel_scale.pixels(data[0]["image"][None])
    assert 0 <= pixels.min() <= pixels.max() <= 1
    paper = Preprocessing.paper()
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
    scale = ImageFolderDataModule(folder=str(tmp_path), preprocessing="paper").pixel_scale
    assert (scale.mean, scale.std) == (paper.mean, paper.std)
