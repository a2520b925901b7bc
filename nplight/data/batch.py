"""Reading the batches of any project as an `ImageBatch`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nplight.data.dotted_name import imported
from nplight.errors import ArgumentError

IMAGE_KEYS = ("image", "images", "pixel_values")
LABEL_KEYS = ("label", "labels")


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """A batch of images.

    Attributes:
        images: (images, channels, height, width), normalised.
        labels: (images,) int64, or `None`.
        index: (images,) int64, each image's number in its data set, or `None`.
        files: each image's file name, or `None`.

    Examples:
        >>> import torch
        >>> from nplight.data import ImageBatch
        >>> batch = ImageBatch(torch.zeros(2, 3, 8, 8), labels=torch.tensor([0, 1]), index=torch.tensor([4, 5]))
        >>> batch.labels
        tensor([0, 1])
    """

    images: Tensor
    labels: Tensor | None = None
    index: Tensor | None = None
    files: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def select(self, positions: Tensor) -> ImageBatch:
        """The images at the given positions, (images,) int64."""

        def pick(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[positions.to(values.device)]

        files = None if self.files is None else tuple(self.files[position] for position in positions.tolist())
        return ImageBatch(self.images[positions.to(self.images.device)], pick(self.labels), pick(self.index), files)


def read_batch(batch: Any) -> ImageBatch:
    """Read a batch in the format of nplight's data modules or in another common format.

    Args:
        batch: a mapping with `image` (or `images`, `pixel_values`) and optionally `label` (or `labels`), `index` and
            `file`; or a tuple or list of images and optionally labels and indices; or the images alone.

    Raises:
        ArgumentError: the batch has another format.

    Examples:
        >>> import torch
        >>> from nplight.data import read_batch
        >>> batch = read_batch({"pixel_values": torch.zeros(2, 3, 8, 8), "labels": torch.tensor([0, 1])})
        >>> batch.images.shape, batch.index
        (torch.Size([2, 3, 8, 8]), None)
    """
    if isinstance(batch, ImageBatch):
        return batch
    if isinstance(batch, Tensor):
        return ImageBatch(batch)
    if isinstance(batch, Mapping):
        images = _first(batch, IMAGE_KEYS)
        if isinstance(images, Tensor):
            return _from_columns(images, _first(batch, LABEL_KEYS), batch.get("index"), batch.get("file"))
    elif isinstance(batch, Sequence) and 1 <= len(batch) <= 3 and all(isinstance(part, Tensor) for part in batch):
        return _from_columns(*batch)
    raise ArgumentError(
        f"the batch must be a mapping with {_either(IMAGE_KEYS)} (and {_either(LABEL_KEYS)}, `index`, `file`) or a "
        f"tuple of tensors (images, labels, index), got {_described(batch)}; "
        f"give the callback a function `read_batch` that makes one of these from yours, or search a generator of them"
    )


def batch_reader(read: str | Callable[[Any], Any] | None) -> Callable[[Any], ImageBatch]:
    """The reader of a project's batches: `read_batch`, applied to the result of the project's function if given.

    Args:
        read: converts a batch into one that `read_batch` accepts; a function, or its dotted name, e.g.
            `my_project.data.unpack`.

    Raises:
        ArgumentError: there is no such function, or it is part of Python's standard library.

    Examples:
        >>> import torch
        >>> from nplight.data import batch_reader
        >>> read = batch_reader(lambda batch: (batch["pixels"], batch["digit"]))
        >>> read({"pixels": torch.zeros(2, 3, 8, 8), "digit": torch.tensor([3, 1])}).labels
        tensor([3, 1])
    """
    if read is None:
        return read_batch
    function = imported(read, "read_batch") if isinstance(read, str) else read
    if not callable(function):
        raise ArgumentError(f"`read_batch` must be a function of a batch or its dotted name, got {read!r}")
    return _ProjectReader(function)


@dataclass(frozen=True, slots=True)
class _ProjectReader:
    read: Callable[[Any], Any]

    def __call__(self, batch: Any) -> ImageBatch:
        return read_batch(self.read(batch))


def labels_of(batch: ImageBatch, purpose: str) -> Tensor:
    """The labels of a batch, (images,) int64.

    Args:
        batch: of labelled images.
        purpose: what the labels are for, as the message says it.

    Raises:
        ArgumentError: the batch has none.

    Examples:
        >>> import torch
        >>> from nplight.data import ImageBatch, labels_of
        >>> labels_of(ImageBatch(torch.zeros(2, 3, 8, 8), torch.tensor([3, 1])), "an example")
        tensor([3, 1])
    """
    if batch.labels is None:
        raise ArgumentError(f"the batch must have labels, {purpose}; got images alone")
    return batch.labels


def with_index(batch: ImageBatch, start: int) -> ImageBatch:
    """The batch with indices; without any they count from `start`.

    Examples:
        >>> import torch
        >>> from nplight.data import ImageBatch, with_index
        >>> with_index(ImageBatch(torch.zeros(2, 3, 8, 8)), 10).index
        tensor([10, 11])
    """
    if batch.index is not None:
        return batch
    index = torch.arange(start, start + len(batch))
    return ImageBatch(batch.images, batch.labels, index, batch.files)


def _from_columns(images: Tensor, labels: Any = None, index: Any = None, files: Any = None) -> ImageBatch:
    names = None if files is None else tuple(map(str, files))
    if names is not None and len(names) != len(images):
        raise ArgumentError(f"`file` of a batch must name each of its {len(images)} images, got {len(names)} names")
    return ImageBatch(images, _column("label", labels, images), _column("index", index, images), names)


def _first(batch: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((batch[key] for key in keys if batch.get(key) is not None), None)


def _either(keys: Sequence[str]) -> str:
    return " or ".join(f"`{key}`" for key in keys)


def _described(batch: Any) -> str:
    kind = type(batch).__name__
    if isinstance(batch, Mapping):
        return f"keys {sorted(map(str, batch))}"
    if isinstance(batch, Sequence) and not isinstance(batch, (str, bytes)):
        return f"{kind} ({', '.join(type(part).__name__ for part in batch)})"
    return kind


def _column(name: str, value: Any, images: Tensor) -> Tensor | None:
    """One integer per image, on the images' device."""
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
