"""Finding broken image files before they break a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from nplight.data.image_open import MAX_PIXELS, opened
from nplight.data.preprocessing import refusal
from nplight.errors import printable

# What a file must have near its end, else it may have been cut off; other formats have no such mark.
_END_MARKS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND"}
_TAIL = 1024
_THREADS = 16  # the work is waiting for files
_AT_ONCE = 4096


def quick(path: Path, max_pixels: int = MAX_PIXELS) -> str | None:
    """Read the header, and the end where it tells of a whole file; what may be cut off is decoded.

    Returns:
        What is wrong with the file, or `None`.
    """
    return _looked_at(path, lambda image: _ends(path, image.format) or image.load(), max_pixels)


def full(path: Path, max_pixels: int = MAX_PIXELS) -> str | None:
    """Decode the whole image; returns as `quick`."""
    return _looked_at(path, lambda image: image.load(), max_pixels)


CHECKS: dict[str, Callable[[Path, int], str | None]] = {"quick": quick, "full": full}


def broken(folder: Path, files: Sequence[str], check: str, max_pixels: int = MAX_PIXELS) -> list[tuple[int, str]]:
    """Find the files that are no whole images.

    Args:
        folder: where the files are.
        files: names relative to `folder`.
        check: one of `CHECKS`.
        max_pixels: the most that an image may have.

    Returns:
        Position in `files`, ascending, and reason of each.
    """
    found: list[tuple[int, str]] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(files), _AT_ONCE):
            reasons = pool.map(lambda name: CHECKS[check](folder / name, max_pixels), files[start : start + _AT_ONCE])
            found += [(start + offset, reason) for offset, reason in enumerate(reasons) if reason is not None]
    return found


def _looked_at(path: Path, look: Callable[[Image.Image], object], max_pixels: int) -> str | None:
    try:
        with opened(path, max_pixels) as image:
            reason = refusal(image)
            if reason is None:
                look(image)
            return reason
    except Exception as error:  # damaged files fail in a dozen ways
        return printable(str(error).replace(f" {str(path)!r}", "")) or type(error).__name__


def _ends(path: Path, form: str | None) -> bool:
    mark = _END_MARKS.get(form or "")
    if mark is None:
        return False
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
        return mark in file.read()
