"""Hugging Face data sets, as a numbered set of images: local Parquet, saved folders, names of the Hub."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from nplight.data.encoded_image import decode
from nplight.data.labelled import ImageSource
from nplight.errors import ArgumentError, listed


class HuggingFaceSource(ImageSource):
    """The images of a `datasets.Dataset`, in its order.

    Args:
        data: the data set.
        image_key: the column of the images.
        label_key: the column of the labels; `None`: there is none, and all labels are 0.
        max_pixels: maximum number of pixels of an image.

    Raises:
        ArgumentError: a column is missing, or a label is not a category.
    """

    def __init__(
        self, data: Any, *, image_key: str = "image", label_key: str | None = "label", max_pixels: int
    ) -> None:
        datasets = _datasets()
        for argument, key in (("image_key", image_key), ("label_key", label_key)):
            if key is not None and key not in data.column_names:
                raise ArgumentError(f"`{argument}` must be one of the columns {listed(data.column_names)}, got {key!r}")
        self._images = data.cast_column(image_key, datasets.Image(decode=False)).select_columns([image_key])
        self._key = image_key
        self.max_pixels = max_pixels
        self.labels = torch.zeros(len(data), dtype=torch.int64) if label_key is None else _labels(data, label_key)
        self.files = [f"{number:09d}" for number in range(len(data))]
        self.class_names = () if label_key is None else tuple(getattr(data.features[label_key], "names", ()))

    def open(self, number: int) -> Image.Image:
        encoded = self._images[number][self._key]
        content = encoded["bytes"] if encoded["bytes"] is not None else Path(encoded["path"]).read_bytes()
        return decode(content, f"image {number}", self.max_pixels)


def _labels(data: Any, key: str) -> torch.Tensor:
    labels = data.with_format("numpy").select_columns([key])[:][key]
    if labels.dtype.kind not in "iu" or (len(labels) and labels.min() < 0):
        raise ArgumentError(f"`label_key` {key!r} must be a column of whole numbers from 0 on")
    return torch.from_numpy(labels.astype("int64"))


def parquet_source(root: str, **options: Any) -> HuggingFaceSource:
    """The images of Parquet files, in the order of their names.

    Args:
        root: a file, a folder of files, or a pattern of paths.
        **options: as `HuggingFaceSource` has them.

    Raises:
        ArgumentError: there is no file, one cannot be read, or `datasets` is not installed.
    """
    files = sorted(map(str, Path(root).glob("*.parquet"))) if Path(root).is_dir() else sorted(glob.glob(root))
    if not files:
        raise ArgumentError(f"`root` must name Parquet files, a folder or a pattern of them; {root} names none")
    for file in files:
        try:
            pq.read_metadata(file)
        except (OSError, pa.ArrowException) as error:
            raise ArgumentError(f"{file} cannot be read as Parquet: {error}; fetch it again") from error
    return HuggingFaceSource(_loaded(lambda datasets: datasets.Dataset.from_parquet(files), root), **options)


def saved_source(root: str, *, split: str | None = None, **options: Any) -> HuggingFaceSource:
    """The images of a folder that `save_to_disk` wrote.

    Args:
        root: the folder.
        split: of a folder with several.
        **options: as `HuggingFaceSource` has them.

    Raises:
        ArgumentError: it is not such a folder, has no such split, or `datasets` is not installed.
    """
    data = _loaded(lambda datasets: datasets.load_from_disk(root), root)
    if isinstance(data, dict):
        if split not in data:
            raise ArgumentError(f"`split` must be one of {listed(data)}, got {split!r}")
        data = data[split]
    return HuggingFaceSource(data, **options)


def hub_source(name: str, *, root: str | None = None, split: str | None = None, **options: Any) -> HuggingFaceSource:
    """The images of a data set of the Hub, fetched once.

    Args:
        name: of the data set.
        root: the folder of fetched data; `None`: that of `datasets`.
        split: of the data set.
        **options: as `HuggingFaceSource` has them.

    Raises:
        ArgumentError: it cannot be fetched, or `datasets` is not installed.
    """
    if split is None:
        raise ArgumentError("`split` must be given for a data set of the Hub, such as validation")
    return HuggingFaceSource(
        _loaded(lambda datasets: datasets.load_dataset(name, split=split, cache_dir=root), name), **options
    )


def _loaded(load: Any, root: str) -> Any:
    datasets = _datasets()
    try:
        return load(datasets)
    except Exception as error:  # of any of the libraries below it
        raise ArgumentError(f"`root` {root} cannot be read by `datasets`: {error or type(error).__name__}") from error


def _datasets() -> Any:
    try:
        import datasets  # imported here: an extra
    except ImportError as error:
        raise ArgumentError(
            "`dataset` needs Hugging Face's library; install it: pip install 'nplight[datasets]'"
        ) from error
    return datasets
