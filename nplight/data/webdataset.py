"""WebDataset shards on disk, as a numbered set of images.

A shard is a tar file in which the members `KEY.png` (or another image) and `KEY.cls` are one sample. The shards are
listed once, by their headers; images are then read from where they stand, in any order and by any process. (The library
webdataset reads shards as a stream, and would have to unpack every image to know the labels.)
"""

from __future__ import annotations

import glob
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS

from nplight.data.encoded_image import decode
from nplight.data.labelled import ImageSource
from nplight.data.tar_check import has_end
from nplight.errors import ArgumentError, listed

LABEL_EXTENSIONS = ("cls", "json")


@dataclass(slots=True)
class _Sample:
    """What of a sample stands in a shard: the first byte and the length of the image, and the label."""

    image: tuple[int, int] | None = None
    label: int | None = None


class WebDatasetSource(ImageSource):
    """The images of WebDataset shards, in the order of the shards' names and of the samples in them.

    Args:
        pattern: of the shards' paths, with `*` and `?`; or one shard; or a folder of shards.
        label_key: of the label in a `.json` member; a `.cls` member is the label itself. `None`: labels are not read,
            and all are 0.
        max_pixels: maximum number of pixels of an image.

    Raises:
        ArgumentError: there is no shard, one cannot be read or is compressed, or a sample lacks an image or a label.
    """

    def __init__(self, pattern: str, *, label_key: str | None = "label", max_pixels: int) -> None:
        self.shards = _shards(pattern)
        self.max_pixels = max_pixels
        files, labels, places = [], [], []
        for number, shard in enumerate(self.shards):
            for key, sample in _samples(shard, label_key):
                if sample.image is None or sample.label is None:
                    lacking = "an image" if sample.image is None else f"a label, {key}.cls or {key}.json"
                    raise ArgumentError(
                        f"every sample of a shard must have an image and a label; {shard}: {key} lacks {lacking}"
                    )
                files.append(f"{shard.name}/{key}")
                labels.append(sample.label)
                places.append((number, *sample.image))
        if not files:
            raise ArgumentError(f"`root` must name shards with images, but {pattern} hold none")
        self.files = files
        self.labels = torch.tensor(labels, dtype=torch.int64)
        self._places = torch.tensor(places, dtype=torch.int64)

    def open(self, number: int) -> Image.Image:
        shard, start, length = self._places[number].tolist()
        # Opened for each image: a file that forked loader processes share would have one position for all.
        with self.shards[shard].open("rb") as file:
            file.seek(start)
            return decode(file.read(length), self.files[number], self.max_pixels)


def _shards(pattern: str) -> list[Path]:
    root = Path(pattern)
    paths = sorted(root.glob("*.tar")) if root.is_dir() else sorted(map(Path, glob.glob(pattern)))
    if not paths:
        raise ArgumentError(
            f"`root` must name shards that are there, a folder or a pattern such as val-*.tar; {pattern} names none"
        )
    if other := [path for path in paths if path.suffix != ".tar"]:
        raise ArgumentError(
            f"`root` must name uncompressed .tar files, which are read at any place, got {listed(other)}"
        )
    return paths


def _samples(shard: Path, label_key: str | None) -> Iterator[tuple[str, _Sample]]:
    samples: dict[str, _Sample] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                if not member.isreg():
                    continue
                folder, _, name = member.name.rpartition("/")
                stem, _, extension = name.partition(".")
                if not stem:
                    continue  # a hidden file
                sample = samples.setdefault(
                    f"{folder}/{stem}" if folder else stem, _Sample(label=None if label_key is not None else 0)
                )
                if f".{extension.lower()}" in IMG_EXTENSIONS:
                    sample.image = (member.offset_data, member.size)
                elif extension in LABEL_EXTENSIONS and label_key is not None:
                    content = archive.extractfile(member)
                    sample.label = _label(b"" if content is None else content.read(), extension, label_key)
            end = archive.offset
        whole = has_end(shard, end)
    except (tarfile.TarError, OSError, ValueError, KeyError, TypeError) as error:
        raise ArgumentError(f"{shard} cannot be read as a shard of a WebDataset: {error}") from error
    if not whole or not samples:
        raise ArgumentError(f"{shard} is cut short or holds no sample; fetch it again")
    yield from samples.items()


def _label(content: bytes, extension: str, label_key: str) -> int:
    value = json.loads(content)
    value = value[label_key] if extension == "json" else value
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"a label must be a whole number from 0 on, got {value!r}")
    return value
