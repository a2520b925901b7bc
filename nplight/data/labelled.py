"""The common base of data modules with labelled images on disk: preprocessing, choice of images, samples."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_info
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset

from nplight.data.image_open import MAX_PIXELS
from nplight.data.module import Check, OnError, PathDataModule, default_workers
from nplight.data.pixel_scale import PixelScale
from nplight.data.preprocessing import Preprocessing
from nplight.errors import ArgumentError, UnsupportedModelError, check_at_least, check_choice
from nplight.seeds import seeded_generator
from nplight.vit import OpenViT, open_vit

PREPROCESSINGS = ("weights", "paper")


class ImageSource(ABC):
    """Images with labels on disk, numbered from 0 in a fixed order.

    Attributes:
        files: the file name of each image.
        labels: (images,) int64.

    Examples:
        >>> import torch
        >>> from PIL import Image
        >>> from nplight.data import ImageSource
        >>> class Greys(ImageSource):
        ...     files = ("dark.png", "light.png")
        ...     labels = torch.tensor([0, 1])
        ...     def open(self, number: int) -> Image.Image:
        ...         return Image.new("L", (8, 8), (0, 255)[number])
        ...
        >>> Greys().open(1).getpixel((0, 0))
        255
    """

    files: Sequence[str]
    labels: Tensor

    @abstractmethod
    def open(self, number: int) -> Image.Image:
        """The decoded image with a number."""


class LabelledImages(Dataset[dict[str, Any]]):
    """A subset of a source; a sample is a mapping of `image`, `label`, `index` and `file`.

    Args:
        source: of the images.
        numbers: (images,) int64, the numbers of the subset.
        read: converts an image into the model's input tensor.

    Examples:
        >>> from pathlib import Path
        >>> import torch
        >>> from PIL import Image
        >>> from torchvision.transforms.functional import to_tensor
        >>> from nplight.data import LabelledImages, open_source
        >>> from nplight.data.named import Location
        >>> for name in ("cat", "dog"):
        ...     Path("val", name).mkdir(parents=True)
        ...     Image.new("RGB", (8, 8)).save(f"val/{name}/0.png")
        ...
        >>> images = LabelledImages(open_source("folder", Location("val")), torch.tensor([1]), to_tensor)
        >>> images[0]["file"], int(images[0]["label"])
        ('dog/0.png', 1)
    """

    def __init__(self, source: ImageSource, numbers: Tensor, read: Callable[[Image.Image], Tensor]) -> None:
        self.source = source
        self.numbers = numbers
        self._read = read

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, position: int) -> dict[str, Any]:
        number = int(self.numbers[position])
        return {
            "image": self._read(self.source.open(number)),
            "label": int(self.source.labels[number]),
            "index": number,
            "file": self.source.files[number],
        }


class UnlabelledImages(Dataset[dict[str, Any]]):
    """The images of a source without their labels; a sample is a mapping of `image`, `index` and `file`.

    Args:
        source: of the images.
        read: converts an image into the model's input tensor.
    """

    def __init__(self, source: ImageSource, read: Callable[[Image.Image], Tensor]) -> None:
        self.source = source
        self.files = source.files
        self._read = read

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return {"image": self._read(self.source.open(number)), "index": number, "file": self.files[number]}


class LabelledDataModule(PathDataModule):
    """Images with labels on disk, preprocessed as the model's weights expect.

    `setup` determines and prints the preprocessing, checks it against the model and lists the images, before any work.

    Args:
        preprocessing: `weights`: timm's configuration of the Trainer's model; `paper`: that of the published program;
            or a `Preprocessing`.
        preprocessing_overrides: attributes of `Preprocessing` to override.
        max_per_category: maximum number of images per category, chosen by `split_seed`; `None`: all.
        batch_size: images per batch and device.
        num_workers: loader processes per device; `None`: chosen from the number of processors.
        split_seed: of the discover / held-out split.
        predict_images: files and folders for `predict`.
        on_error: see `PathDataModule`.
        check: see `PathDataModule`.
        max_pixels: see `PathDataModule`.

    Raises:
        ArgumentError: an argument is invalid.

    Examples:
        >>> import torch
        >>> from PIL import Image
        >>> from nplight.data import ImageSource, LabelledDataModule
        >>> class Shades(ImageSource):
        ...     labels = torch.arange(20) % 2
        ...     files = tuple(f"{number}.png" for number in range(20))
        ...     def open(self, number: int) -> Image.Image:
        ...         return Image.new("RGB", (8, 8), (number, 0, 0))
        ...
        >>> class ShadesData(LabelledDataModule):
        ...     num_classes, class_names = 2, ("even", "odd")
        ...     def source(self, *, train: bool) -> Shades:
        ...         return Shades()
        ...
        >>> data = ShadesData(preprocessing="paper", max_per_category=5)
        >>> data.setup("validate")
        >>> images, labels = data.evaluation_data()
        >>> labels.bincount().tolist()
        [5, 5]
    """

    def __init__(
        self,
        *,
        preprocessing: str | Preprocessing = "weights",
        preprocessing_overrides: dict[str, Any] | None = None,
        max_per_category: int | None = None,
        batch_size: int = 64,
        num_workers: int | None = None,
        split_seed: int = 0,
        predict_images: Sequence[str] | None = None,
        on_error: OnError = "raise",
        check: Check = "quick",
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            num_workers=default_workers() if num_workers is None else num_workers,
            split_seed=split_seed,
            predict_images=predict_images,
            on_error=on_error,
            check=check,
            max_pixels=max_pixels,
        )
        if not isinstance(preprocessing, Preprocessing):
            check_choice("preprocessing", preprocessing, PREPROCESSINGS)
        if max_per_category is not None:
            # Each category is split in two.
            check_at_least("max_per_category", max_per_category, 2)
        self._preprocessing = preprocessing
        self._overrides = dict(preprocessing_overrides or {})
        self._resolved: Preprocessing | None = None
        self._printed = ""
        self.max_per_category = max_per_category
        # Invalid overrides are refused now, before the model is known.
        overridden = (preprocessing if isinstance(preprocessing, Preprocessing) else Preprocessing.paper()).override(
            **self._overrides
        )
        if preprocessing != "weights":
            self._resolved = overridden

    @abstractmethod
    def source(self, *, train: bool) -> ImageSource:
        """All images for training, or for evaluation; called once each."""

    def usable(self, source: ImageSource, numbers: Tensor) -> Tensor:
        """Those of `numbers` (images,) that can be used; an override may raise instead."""
        return numbers

    @property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing of the images.

        Raises:
            ArgumentError: it comes from the weights of a model that is not known yet.
        """
        if self._resolved is None:
            raise ArgumentError(
                "`preprocessing` 'weights' is known once a Trainer has set the data up for its model; "
                "without one give a Preprocessing, e.g. Preprocessing.of(model)"
            )
        return self._resolved

    def setup(self, stage: str) -> None:
        super().setup(stage)
        self._settle(None if self.trainer is None else self.trainer.lightning_module)
        self.list_images(stage)

    def list_images(self, stage: str) -> None:
        """List the images of a stage, and refuse what is wrong with them, before any work."""
        if stage == "fit":
            self.train_data()
        if stage != "predict":
            self.evaluation_data()

    def train_data(self) -> Dataset[Any]:
        return LabelledImages(*self._train_images, self.preprocessing.read_augmented)

    def evaluation_data(self) -> tuple[Dataset[Any], Tensor]:
        source, numbers = self._evaluation_images
        return LabelledImages(source, numbers, self.preprocessing.read), source.labels[numbers]

    def read_image(self, image: Image.Image) -> Tensor:
        return self.preprocessing.read(image)

    @property
    def pixel_scale(self) -> PixelScale:
        return PixelScale(self.preprocessing.mean, self.preprocessing.std)

    def identity(self) -> dict[str, Any]:
        identity = {**super().identity(), "preprocessing": self.preprocessing.describe()}
        return identity if self.predicting else {**identity, "files": self._digest()}

    @cached_property
    def _train_images(self) -> tuple[ImageSource, Tensor]:
        return self._choose(train=True)

    @cached_property
    def _evaluation_images(self) -> tuple[ImageSource, Tensor]:
        return self._choose(train=False)

    def _choose(self, *, train: bool) -> tuple[ImageSource, Tensor]:
        source = self.source(train=train)
        return source, self.usable(source, choose(source.labels, self.max_per_category, seed=self.split_seed))

    def _settle(self, module: nn.Module | None) -> None:
        if module is not None:
            if self._preprocessing == "weights":
                self._resolved = _of_weights(module).override(**self._overrides)
            # A model that is not found here may be named to the callbacks, which then check its images.
            with suppress(UnsupportedModelError):
                check_fits(self.preprocessing, open_vit(module))
        description = f"Preprocessing: {self.preprocessing.describe()}"
        if description != self._printed:
            rank_zero_info(description)
        self._printed = description

    def _digest(self) -> str:
        source, numbers = self._evaluation_images
        digest = hashlib.sha256()
        for number in numbers.tolist():
            digest.update(
                f"{number} {int(source.labels[number])} ".encode() + os.fsencode(source.files[number]) + b"\n"
            )
        return digest.hexdigest()[:16]


def _of_weights(module: nn.Module) -> Preprocessing:
    try:
        model = open_vit(module).transformer
    except UnsupportedModelError as error:
        raise ArgumentError(f"`preprocessing` cannot come from the weights: {error}; give a Preprocessing") from error
    return Preprocessing.of(model)


def choose(labels: Tensor, limit: int | None, *, seed: int) -> Tensor:
    """Choose at most `limit` images per category, depending on the seed and the category alone.

    Args:
        labels: (images,) int64.
        limit: maximum number of images per category; `None`: all.
        seed: of the choice.

    Returns:
        Positions in `labels`, ascending, int64.
    """
    if limit is None:
        return torch.arange(len(labels))
    chosen = []
    for category in labels.unique().tolist():
        members = (labels == category).nonzero().flatten()
        # Another generator than the split's, so that choice and split are independent.
        chosen.append(members[torch.randperm(len(members), generator=seeded_generator(seed, -1 - category))[:limit]])
    return torch.cat(chosen).sort().values


def check_fits(preprocessing: Preprocessing, vit: OpenViT) -> None:
    """Refuse a preprocessing whose images the model does not accept.

    Raises:
        ArgumentError: the size or the number of channels differs, or the patch size does not divide the size.
    """
    channels, *edges = vit.image_shape()
    size = preprocessing.image_size
    way_out = "set preprocessing_overrides: {image_size: [height, width]}, or build the model for another size"
    if channels is None:
        return  # a wrapper prepares the ViT's images itself
    if channels != 3:
        raise ArgumentError(f"the model must take images of 3 channels, as files are read, but it takes {channels}")
    if any(edge not in (None, actual) for edge, actual in zip(edges, size)):
        takes = " x ".join("any" if edge is None else str(edge) for edge in edges)
        raise ArgumentError(
            f"`image_size` of the preprocessing must be {takes}, which the model takes, got {size[0]} x {size[1]}; "
            f"{way_out}"
        )
    patch_embed = getattr(vit.transformer, "patch_embed", None)
    patch = getattr(patch_embed, "patch_size", None)
    if (
        isinstance(patch, tuple)
        and not getattr(patch_embed, "dynamic_img_pad", False)
        and any(edge % part for edge, part in zip(size, patch))
    ):
        raise ArgumentError(
            f"`image_size` of the preprocessing must be a multiple of the model's patch size {patch[0]} x {patch[1]}, "
            f"got {size[0]} x {size[1]}; {way_out}"
        )
