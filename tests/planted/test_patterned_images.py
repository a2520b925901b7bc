"""Images of planted models."""

from __future__ import annotations

import torch
from torch.nn import functional

from nplight.planted.patterned_images import PixelPatterns, patterned_images


def test_an_image_shows_its_category_in_one_patch() -> None:
    generator = torch.Generator().manual_seed(0)
    patterns = PixelPatterns.drawn(generator)
    images, labels = patterned_images(patterns, 16, generator)
    assert images.shape == (16, 3, 8, 8)
    assert labels.bincount().tolist() == [4] * 4
    levels = functional.conv2d(images, patterns.readers, stride=4).flatten(2)[:, :4]  # (images, categories, patches)
    strength = levels.amax(2)
    assert torch.equal(strength.argmax(1), labels)
    shown = strength.gather(1, labels[:, None])
    assert ((shown >= 0.8) & (shown <= 1.2)).all()
    torch.testing.assert_close(levels.abs().sum((1, 2)), shown[:, 0])
