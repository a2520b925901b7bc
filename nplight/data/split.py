"""A seeded split, stratified by category."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.errors import ArgumentError, listed
from nplight.seeds import seeded_generator


def stratified_split(
    labels: Tensor, fraction: float, *, seed: int, num_classes: int | None = None
) -> tuple[Tensor, Tensor]:
    """Split images in two, with the same fraction of every category.

    The side of an image depends on the seed and its category; both sides get at least one image of every category.

    Args:
        labels: (images,) int64, the category of each image.
        fraction: share of each category's images on the first side, in (0, 1), rounded.
        seed: of the split.
        num_classes: if given, each category below it must have images.

    Returns:
        Positions in `labels` of the first and of the second side, ascending, int64.

    Raises:
        ArgumentError: `fraction` is outside (0, 1), there are no images, a label is out of range, or a category has
            fewer than two images.

    Examples:
        >>> import torch
        >>> from nplight.data import stratified_split
        >>> labels = torch.arange(10) % 2
        >>> first, second = stratified_split(labels, 0.8, seed=0)
        >>> first.tolist(), second.tolist()
        ([0, 1, 2, 5, 6, 7, 8, 9], [3, 4])
    """
    if not 0 < fraction < 1:
        raise ArgumentError(f"`fraction` must be between 0 and 1, got {fraction}")
    if len(labels) == 0:
        raise ArgumentError("`labels` must hold at least one image to split, got none")
    counts = labels.bincount(minlength=num_classes or 0).tolist()
    if num_classes is not None and len(counts) > num_classes:
        raise ArgumentError(f"`labels` must be in 0 … {num_classes - 1}, got {len(counts) - 1}")
    empty = [category for category, count in enumerate(counts) if count == 0 and num_classes is not None]
    single = [category for category, count in enumerate(counts) if count == 1]
    if empty or single:
        problems = [
            f"categories {listed(categories)} have {what}"
            for categories, what in ((empty, "none"), (single, "one"))
            if categories
        ]
        raise ArgumentError(
            f"every category must have at least 2 images to be split, but {' and '.join(problems)}; "
            f"add images to them or leave them out"
        )
    first, second = [], []
    for category, count in enumerate(counts):
        if count == 0:
            continue
        shuffled = torch.randperm(count, generator=seeded_generator(seed, category))
        members = (labels == category).nonzero().flatten()[shuffled]
        size = min(max(round(count * fraction), 1), count - 1)
        first.append(members[:size])
        second.append(members[size:])
    return torch.cat(first).sort().values, torch.cat(second).sort().values
