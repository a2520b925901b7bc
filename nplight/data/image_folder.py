"""Images in a folder of class folders, such as ImageNet's validation images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from nplight.data.class_folders import class_folders, differences, read_class_names
from nplight.data.image_open import MAX_PIXELS, opened
from nplight.data.image_walk import images_below
from nplight.data.labelled import ImageSource, LabelledDataModule
from nplight.data.preprocessing import Preprocessing
from nplight.errors import ArgumentError, listed, printable


class FolderSource(ImageSource):
    """The images of a folder of class folders, ordered by name relative to it.

    Args:
        folder: contains the class folders.
        categories: the class folder of each category.
        max_pixels: maximum number of pixels of an image.
    """

    def __init__(self, folder: Path, categories: Sequence[str], max_pixels: int = MAX_PIXELS) -> None:
        images = sorted(
            (f"{category}/{name}", label)
            for label, category in enumerate(categories)
            for name in images_below(folder / category)
        )
        self.folder = folder
        self.max_pixels = max_pixels
        self.files = [name for name, _ in images]
        self.labels = torch.tensor([label for _, label in images], dtype=torch.int64)

    def open(self, number: int) -> Image.Image:
        path = self.folder / self.files[number]
        try:
            with opened(path, self.max_pixels) as image:
                image.load()
                return image
        except Exception as error:  # damaged files raise many kinds of errors
            raise ArgumentError(
                f"{printable(str(path))} cannot be read as an image: {error}; check: full finds such files before work "
                f"starts, and on_error: skip leaves them out"
            ) from error


class ImageFolderDataModule(LabelledDataModule):
    """A folder with a folder of images per category: paths from `folder`, training on `train_folder`.

    Images may be at any depth of the class folders. A sample's `file` is relative to `folder`; its `index` is its
    number among all images of `folder`, ordered by name, including skipped ones.

    Args:
        folder: the images to find and test paths with.
        train_folder: the images to train on, in class folders of the same names; read by `fit` only.
        class_names: a text file with one category per line, in the order of the model's head: the class folder's name
            and optionally white space and a readable name (ImageNet's `n01440764 tench`). `None`: sorted folders.
        preprocessing: see `LabelledDataModule`.
        preprocessing_overrides: see `LabelledDataModule`.
        on_error: treatment of broken images, also for `predict`: `raise` refuses them in one error, `skip` leaves them
            out.
        check: for broken images before work starts: `quick` reads the beginning and the end of each file, `full`
            decodes it.
        max_pixels: larger images count as broken; 89 million pixels take 256 MiB in a loader process.
        max_per_category: see `LabelledDataModule`.
        batch_size: images per batch and device.
        num_workers: loader processes per device; `None`: chosen from the number of processors.
        split_seed: of the discover / held-out split.
        predict_images: files and folders for `predict`.

    Raises:
        ArgumentError: an argument is invalid, a folder is missing, or the categories differ.

    Examples:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from nplight.data import ImageFolderDataModule
        >>> for name in ("cat", "dog"):
        ...     Path("val", name).mkdir(parents=True)
        ...     for number in range(4):
        ...         Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(f"val/{name}/{number}.png")
        ...
        >>> data = ImageFolderDataModule(folder="val", batch_size=4, num_workers=0, preprocessing="paper")
        >>> data.class_names
        ('cat', 'dog')
    """

    def __init__(
        self,
        *,
        folder: str,
        train_folder: str | None = None,
        class_names: str | None = None,
        preprocessing: str | Preprocessing = "weights",
        preprocessing_overrides: dict[str, Any] | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        check: Literal["quick", "full"] = "quick",
        max_pixels: int = MAX_PIXELS,
        max_per_category: int | None = None,
        batch_size: int = 64,
        num_workers: int | None = None,
        split_seed: int = 0,
        predict_images: Sequence[str] | None = None,
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
            check=check,
            max_pixels=max_pixels,
        )
        self.folder = Path(folder)
        self.train_folder = None if train_folder is None else Path(train_folder)
        folders = class_folders("folder", self.folder)
        self._names = (
            {name: name for name in folders} if class_names is None else read_class_names(Path(class_names), folders)
        )
        if len(folders) < 2:
            raise ArgumentError(
                f"`folder` must hold at least 2 categories to tell apart; {folder} has {folders[0]} alone"
            )

    @property
    def num_classes(self) -> int:
        return len(self._names)

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self._names.values())

    def source(self, *, train: bool) -> FolderSource:
        if not train:
            return FolderSource(self.folder, list(self._names), self.max_pixels)
        if self.train_folder is None:
            raise ArgumentError("`train_folder` must be given to fit; images of `folder` are never trained on")
        self._check_train_folder(self.train_folder)
        return FolderSource(self.train_folder, list(self._names), self.max_pixels)

    def usable(self, source: ImageSource, numbers: Tensor) -> Tensor:
        """Those of `numbers` (images,) whose images are not broken.

        Raises:
            ArgumentError: there are broken images that are not skipped, or too few images of a category.
        """
        folder = source.folder if isinstance(source, FolderSource) else self.folder
        self._refuse_few(folder, source.labels, "")
        files = [source.files[number] for number in numbers.tolist()]
        readable = torch.tensor(self.whole_images(folder, files), dtype=torch.int64)
        if len(readable) < len(numbers):
            self._refuse_few(folder, source.labels[numbers[readable]], " that can be read")
        return numbers[readable]

    def _check_train_folder(self, train_folder: Path) -> None:
        if train_folder.resolve() == self.folder.resolve():
            raise ArgumentError(f"`train_folder` must be another folder than `folder`, got {train_folder} for both")
        if problems := differences(class_folders("train_folder", train_folder), self._names):
            raise ArgumentError(f"`train_folder` must have the class folders of `folder`, but it {'; '.join(problems)}")

    def _refuse_few(self, folder: Path, labels: Tensor, restriction: str) -> None:
        minimum = 1 if folder == self.train_folder else 2  # one for each side of the split
        counts = labels.bincount(minlength=self.num_classes).tolist()
        too_small = [f"{name} ({count})" for name, count in zip(self._names, counts) if count < minimum]
        if too_small:
            raise ArgumentError(
                f"every class folder of {folder} must hold at least {minimum} images{restriction}, but these have "
                f"fewer: {listed(too_small, 20)}; add images to them or take them away"
            )
