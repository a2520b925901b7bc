"""Checks for broken image files before a run starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from nplight.data.image_open import MAX_PIXELS, opened
from nplight.data.preprocessing import refusal
from nplight.errors import printable

# Marks near the end of a complete file; other formats have none.
_END_MARKS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND"}
_TAIL = 1024
_THREADS = 16  # limited by reading files
_AT_ONCE = 4096


def quick(path: Path, max_pixels: int = MAX_PIXELS) -> str | None:
    """Read the header and, for formats with an end mark, the end; other files are decoded.

    Returns:
        The defect of the file, or `None`.
    """
    return _defect(path, lambda image: _ends(path, image.format) or image.load(), max_pixels)


def full(path: Path, max_pixels: int = MAX_PIXELS) -> str | None:
    """Decode the image; returns as `quick`."""
    return _defect(path, lambda image: image.load(), max_pixels)


CHECKS: dict[str, Callable[[Path, int], str | None]] = {"quick": quick, "full": full}


def broken(folder: Path, files: Sequence[str], check: str, max_pixels: int = MAX_PIXELS) -> list[tuple[int, str]]:
    """Find the files that are not complete images.

    Args:
        folder: of the files.
        files: names relative to `folder`.
        check: one of `CHECKS`.
        max_pixels: maximum number of pixels of an image.

    Returns:
        Position in `files`, ascending, and defect of each.
    """
    defects: list[tuple[int, str]] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(files), _AT_ONCE):
            reasons = pool.map(lambda name: CHECKS[check](folder / name, max_pixels), files[start : start + _AT_ONCE])
            defects += [(start + offset, reason) for offset, reason in enumerate(reasons) if reason is not None]
    return defects


def _defect(path: Path, read: Callable[[Image.Image], object], max_pixels: int) -> str | None:
    try:
        with opened(path, max_pixels) as image:
            reason = refusal(image)
            if reason is None:
                read(image)
            return reason
    except Exception as error:  # damaged files raise many kinds of errors
        return printable(str(error).replace(f" {str(path)!r}", "")) or type(error).__name__


def _ends(path: Path, form: str | None) -> bool:
    mark = _END_MARKS.get(form or "")
    if mark is None:
        return False
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
        return mark in file.read()
