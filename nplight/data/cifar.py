"""CIFAR-10 and CIFAR-100, from torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100

from nplight.data.image_open import MAX_PIXELS
from nplight.data.labelled import ImageSource, LabelledDataModule
from nplight.data.module import OnError
from nplight.data.preprocessing import Preprocessing
from nplight.errors import ArgumentError


class CIFARSource(ImageSource):
    """One split of a torchvision CIFAR data set on disk.

    Args:
        data: the data set of torchvision.
    """

    def __init__(self, data: Any) -> None:
        self._data = data
        self.class_names = tuple(data.classes)
        part = "train" if data.train else "test"
        self.files = [f"{part}/{number:05d}" for number in range(len(data))]
        self.labels = torch.tensor(data.targets, dtype=torch.int64)

    def open(self, number: int) -> Image.Image:
        image: Image.Image = self._data[number][0]
        return image


class _CIFARDataModule(LabelledDataModule):
    dataset: ClassVar[Any]

    def __init__(
        self,
        *,
        root: str,
        download: bool = False,
        preprocessing: str | Preprocessing = "weights",
        preprocessing_overrides: dict[str, Any] | None = None,
        max_per_category: int | None = None,
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
            max_per_category=max_per_category,
            batch_size=batch_size,
            num_workers=num_workers,
            split_seed=split_seed,
            predict_images=predict_images,
            on_error=on_error,
            max_pixels=max_pixels,
        )
        self.root = Path(root)
        self.download = download
        if not download and not (self.root / self.dataset.base_folder).is_dir():
            raise self._absent("is not there")

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._evaluation_source.class_names

    @cached_property
    def _evaluation_source(self) -> CIFARSource:
        return self._read(train=False)

    def prepare_data(self) -> None:
        """Download the images if `download` is set; Lightning calls this in one process per machine."""
        if not self.download:
            return
        try:
            self.dataset(self.root, download=True)
        except (OSError, RuntimeError) as error:
            raise ArgumentError(
                f"`download`: {self.dataset.__name__} cannot be fetched to {self.root} ({error}); "
                f"put {self.dataset.url} there by other means"
            ) from error

    def source(self, *, train: bool) -> CIFARSource:
        return self._read(train=True) if train else self._evaluation_source

    def _read(self, *, train: bool) -> CIFARSource:
        try:
            return CIFARSource(self.dataset(self.root, train=train))
        except RuntimeError as error:
            raise self._absent("is not there, or not whole") from error

    def _absent(self, what: str) -> ArgumentError:
        name = self.dataset.__name__
        return ArgumentError(
            f"`root` must be the folder that holds {name}'s {self.dataset.base_folder}/, which {what} in {self.root}; "
            f"name another root, or set download: true"
        )


class CIFAR10DataModule(_CIFARDataModule):
    """CIFAR-10: training on its 50,000 training images, paths found and tested on its 10,000 test images.

    Args:
        root: the folder with `cifar-10-batches-py`, or to download it to.
        download: whether to download missing data.
        preprocessing: see `LabelledDataModule`.
        preprocessing_overrides: see `LabelledDataModule`.
        max_per_category: see `LabelledDataModule`.
        batch_size: images per batch and device.
        num_workers: loader processes per device; `None`: chosen from the number of processors.
        split_seed: of the discover / held-out split.
        predict_images: files and folders for `predict`.
        on_error: see `PathDataModule`; applies to the images to predict.
        max_pixels: see `PathDataModule`; applies to the images to predict.

    Raises:
        ArgumentError: an argument is invalid, or the images are missing.
    """

    dataset = CIFAR10
    num_classes = 10


class CIFAR100DataModule(_CIFARDataModule):
    """CIFAR-100 with its 100 fine categories; arguments and errors as `CIFAR10DataModule`."""

    dataset = CIFAR100
    num_classes = 100
