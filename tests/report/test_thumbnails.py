from __future__ import annotations

import pytest
import torch

from nplight.report.thumbnails import patch_grid, thumbnail
from tests.report.samples import decoded


def test_a_thumbnail_undoes_the_normalisation() -> None:
    pixels = torch.randint(0, 256, (3, 9, 7), generator=torch.Generator().manual_seed(0)).float() / 255
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.3])
    normalised = (pixels - mean[:, None, None]) / std[:, None, None]
    assert torch.equal(decoded(thumbnail(normalised, 9, (mean, std))), (pixels * 255).round().to(torch.uint8))
    stretched = decoded(thumbnail(normalised[:1], 9))
    assert (int(stretched.min()), int(stretched.max())) == (0, 255)
    assert decoded(thumbnail(torch.rand(3, 100, 50), 64)).shape == (3, 64, 32)


@pytest.mark.parametrize(
    ("tokens", "height", "width", "grid"),
    [
        (197, 224, 224, (14, 14)),
        (64, 32, 32, (8, 8)),
        (261, 224, 224, (16, 16)),
        (17, 16, 16, (4, 4)),
        (1 + 6 * 3, 96, 48, (6, 3)),
        (100 + 20, 224, 224, None),
    ],
)
def test_the_patches_are_found_among_the_tokens(
    tokens: int, height: int, width: int, grid: tuple[int, int] | None
) -> None:
    assert patch_grid(tokens, height, width) == grid
