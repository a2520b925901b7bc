"""The common base of data modules: the discover and held-out loaders, the sampler, the images to predict."""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, cast

from lightning.pytorch import LightningDataModule
from lightning.pytorch.accelerators import CUDAAccelerator
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Subset

from nplight.data.image_check import CHECKS, broken
from nplight.data.image_files import ImageFiles, shown
from nplight.data.image_open import MAX_PIXELS, check_max_pixels
from nplight.data.pixel_scale import PixelScale
from nplight.data.sampler import EachOnceSampler
from nplight.data.shard import Shard
from nplight.data.split import stratified_split
from nplight.data.timed_loader import TimedLoader
from nplight.errors import ArgumentError, check_at_least, check_choice, listed, printable

Result = TypeVar("Result")
OnError = Literal["raise", "skip"]
Check = Literal["quick", "full"]
ON_ERROR = ("raise", "skip")
DISCOVER_FRACTION = 0.8
MOST_WORKERS = 8
_MANY = 10_000
_SHOWN = 20


def default_workers() -> int:
    """Number of loader processes that leaves one processor to the run; 0 with few processors."""
    # The processors that this process may use: a cluster job may have a share of the machine.
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_WORKERS, processors - 1) if processors >= 4 else 0


class PathDataModule(LightningDataModule):
    """Images in a discover split, to find category paths, and a disjoint held-out split, to test them.

    `validate` runs the two loaders in turn, `test` the held-out loader, `predict` the images of `predict_images`. Each
    image is counted once on any number of devices. A sample is a mapping of `image`, `label`, `index` (its number in
    the data set) and `file`. Loaders keep their processes between epochs, and pin memory for CUDA devices.

    Args:
        batch_size: images per batch and device.
        num_workers: loader processes per device.
        split_seed: of the discover / held-out split.
        predict_images: files and folders for `predict`.
        on_error: treatment of broken image files: `raise` refuses them in one error, `skip` leaves them out.
        check: for broken image files before work starts: `quick` reads the beginning and the end of each file, `full`
            decodes it.
        max_pixels: larger image files count as broken.

    Attributes:
        predicts_own_images: whether `predict` takes the data set itself where `predict_images` names none.
        shard: the share of the discover images, or of those to predict, that this run has; `None`: all. The split is
            that of all images, and the held-out images are those of the run that puts the shards together.

    Examples:
        >>> import torch
        >>> from PIL import Image
        >>> from torch.utils.data import Dataset
        >>> from torchvision.transforms.functional import to_tensor
        >>> from nplight.data import PathDataModule
        >>> class Greys(Dataset):
        ...     def __getitem__(self, index: int) -> dict:
        ...         image = torch.full((3, 8, 8), index / 8)
        ...         return {"image": image, "label": index % 2, "index": index, "file": f"{index}.png"}
        ...
        >>> class GreysData(PathDataModule):
        ...     num_classes, class_names = 2, ("even", "odd")
        ...     def train_data(self) -> Dataset:
        ...         return Greys()
        ...     def evaluation_data(self) -> tuple[Dataset, torch.Tensor]:
        ...         return Greys(), torch.arange(8) % 2
        ...     def read_image(self, image: Image.Image) -> torch.Tensor:
        ...         return to_tensor(image)
        ...
        >>> [len(split) for split in GreysData().splits()]
        [6, 2]
    """

    predicts_own_images: ClassVar[bool] = False

    def __init__(
        self,
        *,
        batch_size: int = 64,
        num_workers: int = 0,
        split_seed: int = 0,
        predict_images: Sequence[str] | None = None,
        on_error: OnError = "raise",
        check: Check = "quick",
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        super().__init__()
        check_at_least("batch_size", batch_size, 1)
        check_at_least("num_workers", num_workers, 0)
        check_choice("on_error", on_error, ON_ERROR)
        check_choice("check", check, CHECKS)
        check_max_pixels(max_pixels)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.split_seed = split_seed
        self.predict_images = predict_images
        self.on_error = on_error
        self.check = check
        self.max_pixels = max_pixels
        self.shard: Shard | None = None
        # File and reason of each skipped image: of those to predict (True), and of all others (False).
        self._skipped: dict[bool, tuple[tuple[str, str], ...]] = {}
        self._to_predict: tuple[tuple[str, ...], Subset[Any]] | None = None

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
        """The images for training."""

    @abstractmethod
    def evaluation_data(self) -> tuple[Dataset[Any], Tensor]:
        """The images to find and test paths with, disjoint from the training images, and labels (images,) int64."""

    @abstractmethod
    def read_image(self, image: Image.Image) -> Tensor:
        """The model's input for an image: (channels, height, width), normalised."""

    @property
    def pixel_scale(self) -> PixelScale | None:
        """Mean and standard deviation by which the images are normalised; `None` if unknown."""
        return None

    def splits(self) -> tuple[Dataset[Any], Dataset[Any]]:
        """The discover and the held-out images."""
        data, labels = self.evaluation_data()
        discover, held_out = self._split(labels)
        return Subset(data, discover.tolist()), Subset(data, held_out.tolist())

    @property
    def predicting(self) -> bool:
        """Whether the Trainer runs `predict`."""
        return self.trainer is not None and self.trainer.state.fn == TrainerFn.PREDICTING

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """File and reason of each skipped image, available after `setup`.

        In `predict` of the images to predict; else relative to their folder, in `fit` including the training images.
        """
        return self._skipped.get(self.predicting, ())

    def setup(self, stage: str) -> None:
        if stage == "predict" and self.predict_images:
            self._predicted()

    def own_images(self) -> Subset[Any]:
        """The images for `predict` where `predict_images` names none: of a data set with `files`, by number.

        Raises:
            ArgumentError: the data module has none.
        """
        raise ArgumentError("`predict_images` must name files or folders of images to predict, got none")

    def whole_images(self, folder: Path, files: Sequence[str]) -> list[int]:
        """Find broken image files, and refuse or skip them according to `on_error`.

        Args:
            folder: of the files.
            files: names relative to `folder`.

        Returns:
            Positions in `files` of the complete images, ascending.

        Raises:
            ArgumentError: there are broken files, and `on_error` is `raise`.
        """
        images = f"the {len(files):,} images " + (f"of {printable(str(folder))}" if folder != Path() else "to predict")
        if len(files) > _MANY:
            rank_zero_info(f"Looking for broken images among {images} (check: {self.check}) …")
        defects = dict(self._by_first_process(lambda: broken(folder, files, self.check, self.max_pixels)))
        if defects and self.on_error == "raise":
            reasons = [f"{printable(files[position])}: {reason}" for position, reason in defects.items()]
            more = f"; and {len(defects) - _SHOWN} more" if len(defects) > _SHOWN else ""
            raise ArgumentError(
                f"{len(defects)} of {images} cannot be read; mend or remove them, or leave them out with on_error: "
                f"skip ({'; '.join(reasons[:_SHOWN])}{more})"
            )
        if defects:
            rank_zero_info(f"{len(defects)} of {images} cannot be read and are skipped")
            skipped = tuple((shown(Path(files[position])), reason) for position, reason in defects.items())
            self._skipped[self.predicting] = self.skipped + skipped
        return [position for position in range(len(files)) if position not in defects]

    def identity(self) -> dict[str, Any]:
        """The identity of data and split, a part of a run folder's settings."""
        if self.predicting:
            data = self._predicted()
            names = "\n".join(f"{number} {data.dataset.files[number]}" for number in data.indices)  # type: ignore[attr-defined]
            digest = hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest()[:16]
            return {"data": type(self).__name__, "images": len(data), "predicted": digest}
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
        if self.shard is not None:
            return [self._evaluation_loader(self._of_shard(self.splits()[0], self.shard))]
        return [self._evaluation_loader(data) for data in self.splits()]

    def test_dataloader(self) -> DataLoader[Any]:
        return self._evaluation_loader(self.splits()[1])

    def predict_dataloader(self) -> DataLoader[Any]:
        data = self._predicted()
        return self._evaluation_loader(data if self.shard is None else self._of_shard(data, self.shard))

    def _predicted(self) -> Subset[Any]:
        """The images to predict, numbered among all image files; the check for broken images runs once."""
        if not self.predict_images:
            return self.own_images()
        paths = tuple(self.predict_images)
        if self._to_predict is None or self._to_predict[0] != paths:
            if self.predicting:
                self._skipped.pop(True, None)
            images = ImageFiles(paths, self.read_image, self.max_pixels)
            readable = self.whole_images(Path(), list(map(str, images.files)))
            if not readable:
                raise ArgumentError(f"`images` must hold at least one image that can be read, got {listed(paths)}")
            self._to_predict = (paths, Subset(images, readable))
        return self._to_predict[1]

    def _by_first_process(self, work: Callable[[], Result]) -> Result:
        """Run `work` in the first process and share its result with the others."""
        if self.trainer is None or self.trainer.world_size == 1:
            return work()
        return cast(Result, self.trainer.strategy.broadcast(work() if self.trainer.is_global_zero else None))

    def _split(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        return stratified_split(labels, DISCOVER_FRACTION, seed=self.split_seed, num_classes=self.num_classes)

    def _of_shard(self, data: Dataset[Any], shard: Shard) -> Subset[Any]:
        return Subset(data, shard.positions(len(data), self.batch_size))  # type: ignore[arg-type]

    def _evaluation_loader(self, data: Dataset[Any]) -> DataLoader[Any]:
        # Lightning's default sampler repeats images to fill the last batch.
        return self._loader(data, sampler=EachOnceSampler(data))  # type: ignore[arg-type]

    def _loader(self, data: Dataset[Any], **options: Any) -> TimedLoader:
        settings: dict[str, Any] = {
            "batch_size": self.batch_size,
            "num_workers": self.num_workers,
            "persistent_workers": self.num_workers > 0,
            "pin_memory": self.trainer is not None and isinstance(self.trainer.accelerator, CUDAAccelerator),
            **options,
        }
        return TimedLoader(data, **settings)
