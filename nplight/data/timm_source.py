"""The data sets of timm's readers, as a numbered set of images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from timm.data.readers.reader_image_folder import ReaderImageFolder
from timm.data.readers.reader_image_in_tar import ReaderImageInTar

from nplight.data.encoded_image import decode
from nplight.data.labelled import ImageSource
from nplight.data.tar_check import check_whole
from nplight.errors import ArgumentError


class TimmSource(ImageSource):
    """The images of one of timm's readers, in its order: by name, numbers in a name by their size.

    Args:
        reader: gives an image file and its label for each number.
        labels: of all images.
        class_names: of the categories.
        max_pixels: maximum number of pixels of an image.
    """

    def __init__(self, reader: Any, labels: Sequence[int], class_names: Sequence[str], max_pixels: int) -> None:
        self._reader = reader
        self.max_pixels = max_pixels
        self.files = reader.filenames()
        self.labels = torch.tensor(labels, dtype=torch.int64)
        self.class_names = tuple(class_names)

    def open(self, number: int) -> Image.Image:
        try:
            file, _ = self._reader[number]
        except OSError as error:
            raise ArgumentError(f"{self.files[number]} cannot be read: {error}") from error
        with file:
            return decode(file, self.files[number], self.max_pixels)


class TarSource(TimmSource):
    """The images of timm's tar reader, each read from where it stands.

    The reader would leave a tar file open for each image, or one that forked loader processes share.
    """

    def open(self, number: int) -> Image.Image:
        member, archive, inner = self._reader.samples[number]
        path = os.path.join(self._reader.root, archive) if archive else self._reader.root
        try:
            with open(path, "rb") as file:
                file.seek(member.offset_data + (0 if inner is None else inner.offset_data))
                return decode(file.read(member.size), self.files[number], self.max_pixels)
        except OSError as error:
            raise ArgumentError(f"{path} cannot be read: {error}") from error


def folder_source(root: str, max_pixels: int) -> TimmSource:
    """The images of a folder of class folders, as timm's `folder` numbers them.

    Raises:
        ArgumentError: there is no such folder, or no image in it.
    """
    if not Path(root).is_dir():
        raise ArgumentError(f"`root` must be a folder of class folders, got {root}")
    try:
        reader: Any = ReaderImageFolder(root)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise ArgumentError(f"`root` must hold images in class folders: {error}") from error
    return TimmSource(reader, [label for _, label in reader.samples], _names(reader.class_to_idx), max_pixels)


def tar_source(root: str, max_pixels: int) -> TarSource:
    """The images of a tar file of class folders, or of a folder with a tar file per category, as timm reads them.

    Raises:
        ArgumentError: there is no tar file, one cannot be read or is cut short, or they hold no image.
    """
    for path in sorted(Path(root).glob("*.tar")) if Path(root).is_dir() else [Path(root)]:
        if path.is_file():
            check_whole(path)
    try:
        # No file that stays open, and no pickle of the members beside the data.
        reader: Any = ReaderImageInTar(root, cache_tarfiles=False, cache_tarinfo=False)  # type: ignore[no-untyped-call]
    except Exception as error:  # timm asserts, and tarfile has errors of its own
        raise ArgumentError(
            f"`root` must be a tar file of class folders or a folder of tar files, got {root}: "
            f"{error or type(error).__name__}"
        ) from error
    return TarSource(reader, list(map(int, reader.targets)), _names(reader.class_name_to_idx), max_pixels)


def _names(numbers: dict[str, int]) -> list[str]:
    return sorted(numbers, key=lambda name: numbers[name])
