"""scikit-learn's handwritten digits: 8x8 scans that come with the package."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset
from torchvision.transforms.v2 import RandomAffine

from nplight.data.image_open import MAX_PIXELS
from nplight.data.module import OnError, PathDataModule
from nplight.data.pixel_scale import PixelScale
from nplight.data.preprocessing import to_rgb
from nplight.data.split import stratified_split

SIZE = 16
TRAIN_FRACTION = 0.6
_MEAN = _STD = (0.5, 0.5, 0.5)


def _scans() -> Any:
    # Imported here: it takes half a second.
    from sklearn.datasets import load_digits

    return load_digits()


class Digits(Dataset[dict[str, Any]]):
    """A subset of the 1,797 digits, as (3, 16, 16) images in [-1, 1], white on black.

    Args:
        index: (images,) int64, their numbers in scikit-learn's data set.
        augment: whether to shift, rotate and scale each image slightly at random.

    Examples:
        >>> import torch
        >>> from nplight.data import Digits
        >>> digits = Digits(torch.tensor([0, 1]))
        >>> digits[0]["image"].shape, digits[0]["label"]
        (torch.Size([3, 16, 16]), 0)
    """

    def __init__(self, index: Tensor, *, augment: bool = False) -> None:
        bunch = _scans()
        scans = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16
        images = functional.interpolate(scans, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
        self.index = index
        self._images = images[index].expand(-1, 3, -1, -1)
        self._labels = torch.from_numpy(bunch.target).long()[index]
        self._augment = RandomAffine(degrees=12, translate=(0.1, 0.1), scale=(0.8, 1.2)) if augment else None

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, position: int) -> dict[str, Any]:
        image = self._images[position]
        if self._augment is not None:
            image = self._augment(image)
        number = int(self.index[position])
        return {
            "image": _normalise(image),
            "label": int(self._labels[position]),
            "index": number,
            "file": f"digits/{number:04d}",
        }


class DigitsDataModule(PathDataModule):
    """Handwritten digits: a seeded, stratified 60% for training; of the rest, 80% to find and 20% to test paths.

    Args:
        batch_size: images per batch and device.
        num_workers: loader processes per device.
        seed: of the 60% for training; the bundled model was trained with 0.
        split_seed: of the discover / held-out split of the rest.
        predict_images: files and folders for `predict`, white on black.
        on_error: see `PathDataModule`; applies to the images to predict.
        max_pixels: see `PathDataModule`; applies to the images to predict.

    Examples:
        >>> from nplight.data import DigitsDataModule
        >>> discover, held_out = DigitsDataModule(batch_size=1000).val_dataloader()
        >>> len(next(iter(discover))["label"]), len(next(iter(held_out))["label"])
        (576, 143)
    """

    num_classes = 10
    class_names = tuple("0123456789")

    def __init__(
        self,
        *,
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        split_seed: int = 0,
        predict_images: Sequence[str] | None = None,
        on_error: OnError = "raise",
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            num_workers=num_workers,
            split_seed=split_seed,
            predict_images=predict_images,
            on_error=on_error,
            max_pixels=max_pixels,
        )
        self.seed = seed

    @cached_property
    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        labels = torch.from_numpy(_scans().target).long()
        return (*stratified_split(labels, TRAIN_FRACTION, seed=self.seed), labels)

    def train_data(self) -> Dataset[Any]:
        return Digits(self._parts[0], augment=True)

    def evaluation_data(self) -> tuple[Dataset[Any], Tensor]:
        _, evaluation, labels = self._parts
        return Digits(evaluation), labels[evaluation]

    @property
    def pixel_scale(self) -> PixelScale:
        return PixelScale(_MEAN, _STD)

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "seed": self.seed}

    def read_image(self, image: Image.Image) -> Tensor:
        resized = to_rgb(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        return _normalise(torch.from_numpy(np.array(resized)).permute(2, 0, 1).float() / 255)


def _normalise(image: Tensor) -> Tensor:
    return PixelScale(_MEAN, _STD).normalised(image)
