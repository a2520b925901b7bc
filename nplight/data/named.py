"""Data by name: images as people keep them, in folders, tar files, WebDataset shards, Parquet or on the Hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch.utils.data import Subset

from nplight.data.huggingface_source import hub_source, parquet_source, saved_source
from nplight.data.image_open import MAX_PIXELS
from nplight.data.labelled import ImageSource, LabelledDataModule, UnlabelledImages
from nplight.data.map_source import map_source
from nplight.data.module import OnError
from nplight.data.preprocessing import Preprocessing
from nplight.data.timm_source import folder_source, tar_source
from nplight.data.webdataset import WebDatasetSource
from nplight.errors import ArgumentError, check_choice


@dataclass(frozen=True, slots=True)
class Location:
    """Where labelled images are.

    Attributes:
        root: a path or a pattern of paths.
        split: of a data set with several.
        image_key: the column of the images, in tables.
        label_key: the column of the labels, in tables and in `.json` members; `None`: there are none.
        max_pixels: maximum number of pixels of an image.
    """

    root: str | None
    split: str | None = None
    image_key: str = "image"
    label_key: str | None = "label"
    max_pixels: int = MAX_PIXELS

    @property
    def keys(self) -> dict[str, Any]:
        """The columns and the bound, as the tables' sources take them."""
        return {"image_key": self.image_key, "label_key": self.label_key, "max_pixels": self.max_pixels}

    def path(self) -> str:
        """`root`, which must be given."""
        if self.root is None:
            raise ArgumentError("`root` must be given: where the images are")
        return self.root


DATASETS: Mapping[str, Callable[[Location], ImageSource]] = {
    "folder": lambda place: folder_source(place.path(), place.max_pixels),
    "tar": lambda place: tar_source(place.path(), place.max_pixels),
    "wds": lambda place: WebDatasetSource(place.path(), label_key=place.label_key, max_pixels=place.max_pixels),
    "parquet": lambda place: parquet_source(place.path(), **place.keys),
    "saved": lambda place: saved_source(place.path(), split=place.split, **place.keys),
}
"""Name -> how its images are opened.

Beside these, `hfds/NAME` is the data set NAME of the Hub, and `map/NAME` that of a project, by its dotted name.
"""


def open_source(dataset: str, place: Location) -> ImageSource:
    """The images of a data set by name.

    Args:
        dataset: one of `DATASETS`, `hfds/NAME` or `map/NAME`.
        place: where they are.

    Raises:
        ArgumentError: an unknown name, or the images cannot be opened.

    Examples:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from nplight.data import open_source
        >>> from nplight.data.named import Location
        >>> for name in ("cat", "dog"):
        ...     Path("val", name).mkdir(parents=True)
        ...     Image.new("RGB", (8, 8)).save(f"val/{name}/0.png")
        ...
        >>> source = open_source("folder", Location("val"))
        >>> source.files, source.labels.tolist()
        (['cat/0.png', 'dog/0.png'], [0, 1])
    """
    prefix, _, name = dataset.partition("/")
    if prefix == "map" and name:
        return map_source(name, root=place.root, image_key=place.image_key, max_pixels=place.max_pixels)
    if prefix == "hfds" and name:
        return hub_source(name, root=place.root, split=place.split, **place.keys)
    check_choice("dataset", dataset, (*DATASETS, "hfds/NAME", "map/NAME"))
    return DATASETS[dataset](place)


class NamedDataModule(LabelledDataModule):
    """Labelled images by the name of their form: paths from `root`, training on `train_root`.

    An image's `index` is its number in the order of the data set. The split follows from the labels; no image is read.
    `predict` takes all images, unless `predict_images` names others.

    Args:
        dataset: `folder` (of class folders), `tar` (of class folders, or one per category), `wds` (WebDataset shards),
            `parquet`, `saved` (by `datasets`), `hfds/NAME`, a data set of the Hub, or `map/my_project.data.make`, a
            map-style data set of a project, or what makes it.
        root: the path of the images, or a pattern such as `val-*.tar`; for `hfds/NAME` where fetched data is kept; for
            `map/NAME` an argument of the function, if any.
        train_root: the same for the images to train on; read by `fit` only.
        split: of `root`, where it has several: `saved` and `hfds/NAME`.
        train_split: of `train_root`.
        image_key: the column of the images, in tables.
        label_key: the column of the labels, in tables and in the `.json` members of shards; `None`: the images have no
            labels, for `predict` alone, and `class_names` must be given.
        class_names: of the categories, in the order of the model's head; `None`: those of the data, else numbers.
        preprocessing: see `LabelledDataModule`.
        preprocessing_overrides: see `LabelledDataModule`.
        max_per_category: see `LabelledDataModule`.
        batch_size: images per batch and device.
        num_workers: loader processes per device; `None`: chosen from the number of processors.
        split_seed: of the discover / held-out split.
        predict_images: files and folders for `predict`; `None`: the images of `root`.
        on_error: see `PathDataModule`; applies to `predict_images`.
        max_pixels: larger images are refused.

    Raises:
        ArgumentError: an argument is invalid, or the images cannot be opened.

    Examples:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from nplight.data import NamedDataModule
        >>> for name in ("cat", "dog"):
        ...     Path("val", name).mkdir(parents=True)
        ...     Image.new("RGB", (8, 8)).save(f"val/{name}/0.png")
        ...
        >>> NamedDataModule(dataset="folder", root="val").class_names
        ('cat', 'dog')
    """

    predicts_own_images = True

    def __init__(
        self,
        *,
        dataset: str,
        root: str | None = None,
        train_root: str | None = None,
        split: str | None = None,
        train_split: str | None = None,
        image_key: str = "image",
        label_key: str | None = "label",
        class_names: Sequence[str] | None = None,
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
        self.dataset = dataset
        self._place = Location(root, split, image_key, label_key, max_pixels)
        self._train_place = Location(train_root, train_split, image_key, label_key, max_pixels)
        self._names = class_names
        if label_key is None and class_names is None:
            raise ArgumentError("`class_names` must name the categories of the model where `label_key` is None")
        categories = int(self._evaluation_source.labels.max()) + 1
        if class_names is not None and len(class_names) < categories:
            raise ArgumentError(
                f"`class_names` must name the {categories} categories of the labels, got {len(class_names)} names"
            )

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        source = self._evaluation_source
        names = self._names or getattr(source, "class_names", ())
        return tuple(map(str, names or range(int(source.labels.max()) + 1)))

    def source(self, *, train: bool) -> ImageSource:
        if not train:
            return self._evaluation_source
        if self._train_place.root is None and self._train_place.split is None:
            raise ArgumentError("`train_root` or `train_split` must be given to fit; the others are never trained on")
        return open_source(self.dataset, self._train_place)

    def list_images(self, stage: str) -> None:
        if self._place.label_key is None and stage != "predict":
            raise ArgumentError("`label_key` None is for images without labels, which `predict` alone takes")
        super().list_images(stage)

    def own_images(self) -> Subset[Any]:
        source, numbers = self._evaluation_images
        return Subset(UnlabelledImages(source, self.read_image), numbers.tolist())

    @cached_property
    def _evaluation_source(self) -> ImageSource:
        return open_source(self.dataset, self._place)
