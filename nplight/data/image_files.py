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
    """The images of files and of folders at any depth, ordered by name.

    A sample is a mapping of `image`, `index` and `file`.

    Args:
        paths: files and folders.
        read_image: converts an opened image into the model's input tensor.
        max_pixels: maximum number of pixels of an image.

    Raises:
        ArgumentError: a path does not exist, or there is no image.

    Examples:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from torchvision.transforms.functional import to_tensor
        >>> from nplight.data import ImageFiles
        >>> Path("holiday").mkdir()
        >>> Image.new("RGB", (8, 8)).save("holiday/beach.png")
        >>> sample = ImageFiles(["holiday"], to_tensor)[0]
        >>> sample["file"], sample["image"].shape
        ('holiday/beach.png', torch.Size([3, 8, 8]))
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
        except Exception as error:  # damaged files raise many kinds of errors
            raise ArgumentError(
                f"`images` holds a file that cannot be read as an image, {printable(str(file))}: {error}"
            ) from error


def _images_at(path: Path) -> list[Path]:
    # A file given by name is accepted with any extension; the check for broken images refuses others.
    return sorted(path / name for name in images_below(path)) if path.is_dir() else [path]


def shown(file: Path) -> str:
    """The file name as text, also if its bytes are invalid UTF-8."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")
