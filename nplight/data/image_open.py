"""Opening an image file: special files are refused without waiting, and large images without decoding."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from nplight.errors import ArgumentError, check_at_least

MAX_PIXELS = 89_478_485
"""Default maximum number of pixels of an image: Pillow warns above it; 256 MiB of RGB."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@contextmanager
def opened(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """Open an image without decoding its pixels.

    Args:
        path: the file, or a link to one.
        max_pixels: maximum number of pixels.

    Raises:
        ArgumentError: it is not a regular file, so that opening it might block, or it has more pixels.
        OSError: it is not an image.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise ArgumentError(f"it is {_KINDS.get(stat.S_IFMT(mode), 'something else')} and not a file")
    with Image.open(path) as image:
        check_pixels(image, max_pixels)
        yield image


def check_pixels(image: Image.Image, max_pixels: int) -> None:
    """Refuse an image with more than `max_pixels` pixels.

    Raises:
        ArgumentError: it has more.
    """
    if image.width * image.height > max_pixels:
        raise ArgumentError(
            f"its {image.width} x {image.height} pixels are more than the {max_pixels:,} of `max_pixels`; "
            f"make the image smaller, or raise `max_pixels` if there is memory for it in every loader process"
        )


def check_max_pixels(max_pixels: object) -> None:
    """Refuse a value that is not a number of pixels, or is above Pillow's own limit."""
    check_at_least("max_pixels", max_pixels, 1)
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and isinstance(max_pixels, int) and max_pixels > 2 * limit:
        raise ArgumentError(
            f"`max_pixels` must be at most {2 * limit:,}, above which Pillow refuses an image, got {max_pixels}; "
            f"raise PIL.Image.MAX_IMAGE_PIXELS first"
        )
