"""What the data modules have in common: the discover and held-out loaders, the sampler, images to predict."""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import LightningDataModule
from lightning.pytorch.accelerators import CUDAAccelerator
from lightning.pytorch.trainer.states import TrainerFn
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Subset

from nplight.data.image_files import ImageFiles
from nplight.data.sampler import EachOnceSampler
from nplight.data.split import stratified_split
from nplight.errors import ArgumentError, check_at_least

DISCOVER_FRACTION = 0.8
MOST_WORKERS = 8


def default_workers() -> int:
    """Loader processes that leave a processor to the run; none where there are few processors."""
    # Those that this process may use: a cluster's job does not own the whole machine.
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_WORKERS, own - 1) if own >= 4 else 0


class PathDataModule(LightningDataModule):
    """Images in a discover split, to find category paths, and a held-out split, to test them; never one in both.

    `validate` runs the two loaders one after the other; `test` the held-out one; `predict` the images of
    `predict_images`. On any number of devices each image is counted once. A sample is a mapping of `image`, `label`,
    `index` (its number in the data set) and `file`. Loaders keep their processes from one epoch to the next, and pin
    their memory when the images go to a CUDA device.

    Args:
        batch_size: images a batch and device.
        num_workers: loader processes a device.
        split_seed: chooses the discover / held-out split.
        predict_images: files and folders for `predict`.
    """

    def __init__(
        self,
        *,
        batch_size: int = 64,
        num_workers: int = 0,
        split_seed: int = 0,
        predict_images: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        check_at_least("batch_size", batch_size, 1)
        check_at_least("num_workers", num_workers, 0)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.split_seed = split_seed
        self.predict_images = predict_images

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """Number of categories."""

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Name of each category."""

    @abstractmethod
    def train_data(self) -> Dataset[Any]:
        """The images to train on."""

    @abstractmethod
    def evaluation_data(self) -> tuple[Dataset[Any], Tensor]:
        """The images to find and test paths with, none of them trained on, and their labels (images,) int64."""

    @abstractmethod
    def read_image(self, image: Image.Image) -> Tensor:
        """An image as the model takes it: (channels, height, width), normalised."""

    def splits(self) -> tuple[Dataset[Any], Dataset[Any]]:
        """The discover and the held-out images."""
        data, labels = self.evaluation_data()
        discover, held_out = self._split(labels)
        return Subset(data, discover.tolist()), Subset(data, held_out.tolist())

    @property
    def predicting(self) -> bool:
        """Whether the Trainer runs `predict`, whose images are those of `predict_images` alone."""
        return self.trainer is not None and self.trainer.state.fn == TrainerFn.PREDICTING

    def identity(self) -> dict[str, Any]:
        """What tells this data and split from another's: part of a run folder's settings."""
        if self.predicting:
            files = self._predicted().files
            digest = hashlib.sha256("\n".join(map(str, files)).encode(errors="surrogateescape")).hexdigest()[:16]
            return {"data": type(self).__name__, "images": len(files), "predicted": digest}
        _, labels = self.evaluation_data()
        discover, _ = self._split(labels)
        digest = hashlib.sha256(labels.numpy().tobytes() + discover.numpy().tobytes()).hexdigest()[:16]
        return {"data": type(self).__name__, "images": len(labels), "categories": self.num_classes, "split": digest}

    def train_dataloader(self) -> DataLoader[Any]:
        data, trainer = self.train_data(), self.trainer
        sampler: DistributedSampler[Any] | None = None
        if trainer is not None and trainer.world_size > 1:
            sampler = DistributedSampler(data, trainer.world_size, trainer.global_rank)
        return self._loader(data, sampler=sampler, shuffle=sampler is None, drop_last=True)

    def val_dataloader(self) -> list[DataLoader[Any]]:
        return [self._evaluation_loader(data) for data in self.splits()]

    def test_dataloader(self) -> DataLoader[Any]:
        return self._evaluation_loader(self.splits()[1])

    def predict_dataloader(self) -> DataLoader[Any]:
        return self._evaluation_loader(self._predicted())

    def _predicted(self) -> ImageFiles:
        if not self.predict_images:
            raise ArgumentError("`predict_images` must name files or folders of images to predict, got none")
        return ImageFiles(self.predict_images, self.read_image)

    def _split(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        return stratified_split(labels, DISCOVER_FRACTION, seed=self.split_seed, num_classes=self.num_classes)

    def _evaluation_loader(self, data: Dataset[Any]) -> DataLoader[Any]:
        # Lightning's default sampler pads the last batch with images that it counts twice.
        return self._loader(data, sampler=EachOnceSampler(data))  # type: ignore[arg-type]

    def _loader(self, data: Dataset[Any], **options: Any) -> DataLoader[Any]:
        return DataLoader(
            data,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=self.trainer is not None and isinstance(self.trainer.accelerator, CUDAAccelerator),
            **options,
        )
