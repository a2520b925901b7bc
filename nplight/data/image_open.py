"""Opening a file that should be an image: nothing waits for a pipe, and nothing too large is decoded."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from nplight.errors import ArgumentError, check_at_least

MAX_PIXELS = 89_478_485
"""Pixels of the largest image that is read unless more are asked for: Pillow warns above it; 256 MiB of RGB."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@contextmanager
def opened(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """Open an image, its pixels not decoded yet.

    Args:
        path: the file, or a link to one.
        max_pixels: the most that it may have.

    Raises:
        ArgumentError: it is no regular file, whose opening might wait for ever, or has more pixels.
        OSError: it is no image.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise ArgumentError(f"it is {_KINDS.get(stat.S_IFMT(mode), 'something else')} and not a file")
    with Image.open(path) as image:
        if image.width * image.height > max_pixels:
            raise ArgumentError(
                f"its {image.width} x {image.height} pixels are more than the {max_pixels:,} of `max_pixels`; "
                f"make the image smaller, or raise `max_pixels` if there is memory for it in every loader process"
            )
        yield image


def check_max_pixels(max_pixels: object) -> None:
    """Refuse a bound that is no number of pixels, or one above which Pillow refuses images itself."""
    check_at_least("max_pixels", max_pixels, 1)
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and isinstance(max_pixels, int) and max_pixels > 2 * limit:
        raise ArgumentError(
            f"`max_pixels` must be at most {2 * limit:,}, above which Pillow refuses an image, got {max_pixels}; "
            f"raise PIL.Image.MAX_IMAGE_PIXELS first"
        )
