"""What a batch holds, whoever made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nplight.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """A batch of images.

    Attributes:
        images: (images, channels, height, width), normalised.
        labels: (images,) int64, or `None` where there are none.
        index: (images,) int64, each image's number in its data set, or `None`.
        files: each image's file or name, or `None`.
    """

    images: Tensor
    labels: Tensor | None = None
    index: Tensor | None = None
    files: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def select(self, positions: Tensor) -> ImageBatch:
        """The images at some positions, (images,) int64."""

        def pick(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[positions.to(values.device)]

        files = None if self.files is None else tuple(self.files[position] for position in positions.tolist())
        return ImageBatch(self.images[positions.to(self.images.device)], pick(self.labels), pick(self.index), files)


def read_batch(batch: Any) -> ImageBatch:
    """Read a batch as nplight's own data modules make it, or as most others do.

    Args:
        batch: a mapping with `image` and, where known, `label`, `index` and `file`; or a tuple or list of images,
            labels and, where known, indices; or the images alone.

    Raises:
        ArgumentError: the batch is something else.
    """
    if isinstance(batch, Tensor):
        return ImageBatch(batch)
    if isinstance(batch, Mapping) and isinstance(batch.get("image"), Tensor):
        images, files = batch["image"], batch.get("file")
        names = None if files is None else tuple(map(str, files))
        if names is not None and len(names) != len(images):
            raise ArgumentError(f"`file` of a batch must name each of its {len(images)} images, got {len(names)} names")
        return ImageBatch(images, _column("label", batch, images), _column("index", batch, images), names)
    if isinstance(batch, Sequence) and 1 <= len(batch) <= 3 and all(isinstance(part, Tensor) for part in batch):
        named = dict(zip(("image", "label", "index"), batch))
        return ImageBatch(batch[0], _column("label", named, batch[0]), _column("index", named, batch[0]))
    found = f"keys {sorted(batch)}" if isinstance(batch, Mapping) else type(batch).__name__
    raise ArgumentError(
        f"the batch must be a mapping with `image` (and `label`, `index`, `file`) or a tuple of tensors "
        f"(images, labels, index), got {found}"
    )


def with_index(batch: ImageBatch, start: int) -> ImageBatch:
    """The same batch, numbered from `start` where it has no index of its own."""
    if batch.index is not None:
        return batch
    index = torch.arange(start, start + len(batch))
    return ImageBatch(batch.images, batch.labels, index, batch.files)


def _column(name: str, batch: Mapping[str, Any], images: Tensor) -> Tensor | None:
    """A whole number for each image, on the images' device."""
    value = batch.get(name)
    if value is None:
        return None
    try:
        column = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(
            f"`{name}` of a batch must be whole numbers, got {type(value).__name__}: {error}"
        ) from error
    if column.shape != images.shape[:1] or column.is_floating_point():
        raise ArgumentError(
            f"`{name}` of a batch must be a whole number for each of its {len(images)} images, "
            f"got {column.dtype} of shape {tuple(column.shape)}"
        )
    return column.to(images.device, torch.int64)
