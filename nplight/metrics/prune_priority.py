"""Which neurons a fraction prunes first, drawn per category or per image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nplight.neurons import random_priority
from nplight.seeds import checksums, hashed_generator, seeded_generator


def category_priority(widths: Sequence[int], labels: Tensor, seed: int) -> list[Tensor]:
    """Priorities that the images of a category share.

    Args:
        widths: neurons per layer.
        labels: (images,) int64.
        seed: of the draw.

    Returns:
        Per layer (images, width) in [0, 1), on the device of `labels`.

    Examples:
        >>> import torch
        >>> from nplight.metrics import category_priority
        >>> priority = category_priority((4,), torch.tensor([0, 0, 1]), seed=0)[0]
        >>> torch.equal(priority[0], priority[1]), torch.equal(priority[0], priority[2])
        (True, False)
    """
    categories, positions = labels.cpu().unique(return_inverse=True)
    drawn = [random_priority(1, widths, seeded_generator(seed, category)) for category in categories.tolist()]
    return [torch.cat(layer)[positions].to(labels.device) for layer in zip(*drawn)]


def image_priority(widths: Sequence[int], images: Tensor, seed: int) -> list[Tensor]:
    """Priorities of each image's own, from the checksum of its pixels; the published program draws per image.

    Args:
        widths: neurons per layer.
        images: (images, channels, height, width).
        seed: of the draw.

    Returns:
        Per layer (images, width) in [0, 1), on the device of `images`.

    Examples:
        >>> import torch
        >>> from nplight.metrics import image_priority
        >>> image_priority((4,), torch.tensor([5, 6]), seed=0)[0].shape
        torch.Size([2, 4])
    """
    drawn = [random_priority(1, widths, hashed_generator(seed, checksum)) for checksum in checksums(images)]
    return [torch.cat(layer).to(images.device) for layer in zip(*drawn)]
