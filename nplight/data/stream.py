"""Images that come as a stream: an iterable whose samples carry an `index`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.utils.data import DataLoader

from nplight.data.dotted_name import imported
from nplight.data.image_open import MAX_PIXELS
from nplight.data.labelled import ImageSource, LabelledDataModule
from nplight.data.module import DISCOVER_FRACTION, OnError
from nplight.data.preprocessing import Preprocessing
from nplight.data.stream_batches import Samples, Stream, StreamBatches
from nplight.data.timed_loader import TimedLoader
from nplight.errors import ArgumentError, check_at_least, described
from nplight.seeds import hashes

_HASHES = 1 << 63
"""How many hashes there are."""


def hashed_split(images: int, fraction: float, *, seed: int) -> Tensor:
    """Split images by a hash of their index, so that labels need not be known.

    Args:
        images: their number.
        fraction: share of the first side, in (0, 1); met on average.
        seed: of the hash.

    Returns:
        (images,) bool: on the first side.

    Raises:
        ArgumentError: a side has no images.

    Examples:
        >>> from nplight.data import hashed_split
        >>> hashed_split(10, 0.5, seed=0).tolist()
        [False, True, False, False, True, True, True, True, False, False]
    """
    first = hashes(torch.arange(images), seed=seed) < int(fraction * _HASHES)
    if first.all() or not first.any():
        raise ArgumentError(
            f"a split by hash needs more than {images} images: one of its sides has none; give more, or another "
            f"split_seed"
        )
    return first


class StreamLoader:
    """The batches of a loader, and their number.

    Lightning takes the length of an `IterableDataset` for a mistake, as most do not share their images.

    Args:
        loader: of `StreamBatches`, without batches of its own.
        batch_size: images per batch.

    Attributes:
        loader: the same.
        batch_size: the same.
    """

    def __init__(self, loader: TimedLoader, batch_size: int) -> None:
        self.loader = loader
        self.batch_size = batch_size

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.loader)

    @property
    def waiting(self) -> float:
        """See `TimedLoader`."""
        return self.loader.waiting


class StreamDataModule(LabelledDataModule):
    """Images of an iterable, such as a streaming reader of remote shards, that cannot be read in any other order.

    A sample is a mapping of `image` (a PIL image, or the bytes of an image file), `index` (its number, from 0 to
    `images` - 1), `label` (except in `predict`) and, where wanted, `file` (its name). An index that comes twice, is out
    of range or does not come is refused. Whether an image is a discover or a held-out one follows from a hash of its
    index and `split_seed`; the run says how many are. `predict` takes all images, unless `predict_images` names others.

    Args:
        stream: a function without arguments that begins the stream anew, or its dotted name; it must give the same
            images in the same order each time, in every process.
        images: their number.
        class_names: of the categories, in the order of the model's head.
        preprocessing: see `LabelledDataModule`.
        preprocessing_overrides: see `LabelledDataModule`.
        batch_size: images per batch and device.
        num_workers: loader processes per device, each of which goes through the whole stream and decodes its share;
            `None`: chosen from the number of processors.
        split_seed: of the discover / held-out split.
        predict_images: files and folders for `predict`; `None`: the stream.
        on_error: see `PathDataModule`; applies to `predict_images`.
        max_pixels: larger images are refused.

    Raises:
        ArgumentError: an argument is invalid.

    Examples:
        >>> from PIL import Image
        >>> from nplight.data import StreamDataModule
        >>> def shades():
        ...     for index in range(20):
        ...         yield {"image": Image.new("RGB", (8, 8), (index, 0, 0)), "index": index, "label": index % 2}
        ...
        >>> data = StreamDataModule(stream=shades, images=20, class_names=("even", "odd"), preprocessing="paper")
        >>> data.num_classes, data.split_description
        (2, 'by a hash of the index with seed 0: 18 discover, 2 held-out images')
    """

    predicts_own_images = True

    def __init__(
        self,
        *,
        stream: str | Samples,
        images: int,
        class_names: Sequence[str],
        preprocessing: str | Preprocessing = "weights",
        preprocessing_overrides: dict[str, Any] | None = None,
        batch_size: int = 64,
        num_workers: int | None = None,
        split_seed: int = 0,
        predict_images: Sequence[str] | None = None,
        on_error: OnError = "raise",
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        super().__init__(
            preprocessing=preprocessing,
            preprocessing_overrides=preprocessing_overrides,
            batch_size=batch_size,
            num_workers=num_workers,
            split_seed=split_seed,
            predict_images=predict_images,
            on_error=on_error,
            max_pixels=max_pixels,
        )
        check_at_least("images", images, 2)
        check_at_least("class_names", len(class_names), 1)
        begin = imported(stream, "stream") if isinstance(stream, str) else stream
        if not callable(begin):
            raise ArgumentError(
                f"`stream` must be a function that begins the stream, or its dotted name, got {described(stream)}"
            )
        self._names = tuple(map(str, class_names))
        self._name = stream if isinstance(stream, str) else getattr(stream, "__qualname__", type(stream).__qualname__)
        self._stream = Stream(begin, images, len(class_names), max_pixels)

    @property
    def num_classes(self) -> int:
        return len(self._names)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._names

    @property
    def split_description(self) -> str:
        """How the images are split, for people and for the run's settings."""
        found = int(self._discover.sum())
        return (
            f"by a hash of the index with seed {self.split_seed}: {found} discover, "
            f"{len(self._discover) - found} held-out images"
        )

    def source(self, *, train: bool) -> ImageSource:
        raise ArgumentError("a stream has no images by number; give `validate`, `test` or `predict` its loaders")

    def list_images(self, stage: str) -> None:
        if stage == "fit":
            raise ArgumentError("a stream is never trained on; fit with another data module")
        if stage != "predict":
            rank_zero_info(f"Split of the stream {self.split_description}")

    def splits(self) -> tuple[StreamBatches, StreamBatches]:
        return self._batches(self._discover), self._batches(~self._discover)

    def identity(self) -> dict[str, Any]:
        if self.predicting and self.predict_images:
            return super().identity()
        identity = {
            "data": type(self).__name__,
            "stream": self._name,
            "images": self._stream.images,
            "preprocessing": self.preprocessing.describe(),
        }
        if self.predicting:
            return identity
        return {**identity, "categories": self.num_classes, "split": self.split_description}

    def val_dataloader(self) -> list[StreamLoader]:  # type: ignore[override]
        if self.shard is not None:
            return [self._stream_loader(self._share(self._discover, labelled=True))]
        return [self._stream_loader(batches) for batches in self.splits()]

    def test_dataloader(self) -> StreamLoader:  # type: ignore[override]
        return self._stream_loader(self.splits()[1])

    def predict_dataloader(self) -> DataLoader[Any] | StreamLoader:  # type: ignore[override]
        if self.predict_images:
            return super().predict_dataloader()
        return self._stream_loader(self._share(torch.ones_like(self._discover), labelled=False))

    @cached_property
    def _discover(self) -> Tensor:
        return hashed_split(self._stream.images, DISCOVER_FRACTION, seed=self.split_seed)

    def _share(self, chosen: Tensor, *, labelled: bool) -> StreamBatches:
        """Those of the chosen images that the run's shard has."""
        shard = self.shard
        positions = None if shard is None else shard.positions(int(chosen.sum()), self.batch_size)
        return self._batches(chosen, labelled=labelled, positions=positions)

    def _batches(self, chosen: Tensor, *, labelled: bool = True, positions: range | None = None) -> StreamBatches:
        read = self.read_image
        return StreamBatches(self._stream, chosen, self.batch_size, read, labelled=labelled, positions=positions)

    def _stream_loader(self, batches: StreamBatches) -> StreamLoader:
        return StreamLoader(self._loader(batches, batch_size=None), self.batch_size)
