"""Batches of images that come as a stream, shared between processes by the number of the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import IterableDataset, default_collate, get_worker_info

from nplight.data.encoded_image import decode
from nplight.data.image_open import check_pixels
from nplight.errors import ArgumentError, described, listed

Samples = Callable[[], Iterable[Mapping[str, Any]]]


@dataclass(frozen=True)
class Stream:
    """Images that come one after another, each with a number of its own.

    Attributes:
        open: begins the stream anew; the same images in the same order each time.
        images: their number; their indices are 0 to `images` - 1.
        num_classes: the labels are below it.
        max_pixels: of an image.
    """

    open: Samples
    images: int
    num_classes: int
    max_pixels: int

    def __iter__(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Index and sample of each image.

        Raises:
            ArgumentError: an index is missing, is out of range, or comes twice; at the end, one has not come.
        """
        seen = np.zeros(self.images, bool)
        for position, sample in enumerate(self.open()):
            index = self._index(sample, position)
            if seen[index]:
                raise ArgumentError(
                    f"the stream gives image {index} more than once, again at position {position}; every image must "
                    f"come once, with an `index` of its own"
                )
            seen[index] = True
            yield index, sample
        if not seen.all():
            missing = (~seen).nonzero()[0].tolist()
            raise ArgumentError(
                f"the stream has ended without images {listed(missing)}: {len(missing)} of the {self.images} of "
                f"`images` are missing; give them, or lower `images` and number the images without gaps"
            )

    def _index(self, sample: Mapping[str, Any], position: int) -> int:
        given = sample.get("index") if isinstance(sample, Mapping) else sample
        index = _whole(given)
        if not 0 <= index < self.images:
            raise ArgumentError(
                f"each sample of the stream must be a mapping with an `index` in 0 … {self.images - 1}, the number of "
                f"its image, got {described(given)} at position {position}"
            )
        return index


class StreamBatches(IterableDataset[dict[str, Any]]):
    """Batches of some images of a stream: `image`, `label`, `index` and `file`.

    Every process and loader process goes through the whole stream, and decodes the images of its own batches only. So
    the batches are the same on any number of them, and each sees every repeated and every missing image.

    Args:
        stream: of the images.
        chosen: (images,) bool, which of them.
        batch_size: images per batch.
        read: converts an image into the model's input tensor.
        labelled: whether samples must have a label, and give it.
        positions: of the images, among those chosen, in the order in which they come; `None`: all.
    """

    def __init__(
        self,
        stream: Stream,
        chosen: Tensor,
        batch_size: int,
        read: Callable[[Image.Image], Tensor],
        *,
        labelled: bool,
        positions: range | None = None,
    ) -> None:
        self.stream = stream
        self.labelled = labelled
        self._chosen = chosen
        self._batch_size = batch_size
        self._read = read
        self._positions = range(int(chosen.sum())) if positions is None else positions
        self._process: tuple[int, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A loader process that is spawned knows nothing of the processes of the run.
        return {**self.__dict__, "_process": self._process or _process()}

    def __len__(self) -> int:
        """Number of batches of this process."""
        rank, processes = self._process or _process()
        batches = -(-len(self._positions) // self._batch_size)
        if batches < processes:
            raise ArgumentError(
                f"{batches} batches of a stream cannot be shared by {processes} processes, of which some would have "
                f"none; run on at most {max(1, batches)} devices, or lower batch_size"
            )
        return len(range(rank, batches, processes))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        ready = None
        for batch in self._batches():
            if ready is not None:
                yield ready
            ready = batch
        # The last one is given once the whole stream has been seen: nobody asks for another.
        if ready is not None:
            yield ready

    def _batches(self) -> Iterator[dict[str, Any]]:
        share, shares = self._share()
        position, samples = -1, []
        for index, sample in self.stream:
            if not self._chosen[index]:
                continue
            position += 1
            within = position - self._positions.start
            if position not in self._positions or within // self._batch_size % shares != share:
                continue
            samples.append(self._sample(index, sample))
            if len(samples) == self._batch_size or position == self._positions.stop - 1:
                yield default_collate(samples)
                samples = []

    def _share(self) -> tuple[int, int]:
        """Which of how many shares of the batches this process, or loader process, has."""
        rank, processes = self._process or _process()
        worker = get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        return rank + processes * number, processes * workers

    def _sample(self, index: int, sample: Mapping[str, Any]) -> dict[str, Any]:
        file = str(sample.get("file", f"image {index}"))
        read = {"image": self._image(sample.get("image"), file), "index": index, "file": file}
        return {**read, "label": self._label(sample.get("label"), index)} if self.labelled else read

    def _image(self, image: object, name: str) -> Tensor:
        if isinstance(image, bytes):
            return self._read(decode(image, name, self.stream.max_pixels))
        if isinstance(image, Image.Image):
            check_pixels(image, self.stream.max_pixels)
            return self._read(image)
        raise ArgumentError(
            f"`image` of a sample must be a PIL image or the bytes of an image file, which are decoded where they are "
            f"needed, got {described(image)} for {name}"
        )

    def _label(self, label: Any, index: int) -> int:
        category = _whole(label)
        if not 0 <= category < self.stream.num_classes:
            raise ArgumentError(
                f"`label` of a sample must be in 0 … {self.stream.num_classes - 1}, got {described(label)} for image "
                f"{index}"
            )
        return category


def _whole(value: object) -> int:
    """The value of a whole number of Python, NumPy or torch; -1 for anything else."""
    if isinstance(value, Tensor) and value.ndim == 0:
        value = value.item()
    return int(value) if isinstance(value, (int, np.integer)) and not isinstance(value, bool) else -1


def _process() -> tuple[int, int]:
    running = torch.distributed.is_available() and torch.distributed.is_initialized()
    return (torch.distributed.get_rank(), torch.distributed.get_world_size()) if running else (0, 1)
