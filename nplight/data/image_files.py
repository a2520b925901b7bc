"""Images without labels, from files and folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets.folder import IMG_EXTENSIONS

from nplight.data.image_open import MAX_PIXELS, opened
from nplight.data.image_walk import images_below
from nplight.errors import ArgumentError, listed, printable


class ImageFiles(Dataset[dict[str, Any]]):
    """The images of some files and, at any depth, folders, in order of their names.

    A sample is a mapping of `image`, `index` and `file`.

    Args:
        paths: files and folders.
        read_image: turns an opened image into the tensor a model takes.
        max_pixels: the most that an image may have.

    Raises:
        ArgumentError: a path that does not exist, or no image among them.
    """

    def __init__(
        self, paths: Sequence[str], read_image: Callable[[Image.Image], Tensor], max_pixels: int = MAX_PIXELS
    ) -> None:
        missing = [path for path in paths if not Path(path).exists()]
        if missing:
            raise ArgumentError(f"`images` must be files or folders that exist, got {listed(missing)}")
        self.files = [file for path in paths for file in _images_at(Path(path))]
        self._read_image = read_image
        self._max_pixels = max_pixels
        if not self.files:
            raise ArgumentError(
                f"`images` must hold at least one image ({', '.join(IMG_EXTENSIONS)}), found none in {listed(paths)}"
            )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, Any]:
        file = self.files[index]
        try:
            with opened(file, self._max_pixels) as image:
                return {"image": self._read_image(image), "index": index, "file": shown(file)}
        except Exception as error:  # damaged files fail in a dozen ways
            raise ArgumentError(
                f"`images` holds a file that cannot be read as an image, {printable(str(file))}: {error}"
            ) from error


def _images_at(path: Path) -> list[Path]:
    # A file that was named is taken for an image whatever its ending; what is none is found by the check.
    return sorted(path / name for name in images_below(path)) if path.is_dir() else [path]


def shown(file: Path) -> str:
    """The name as text, also where its bytes are none."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")
