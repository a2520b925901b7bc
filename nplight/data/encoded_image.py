"""Decoding images that are not files of their own: members of a tar file, values of a table."""

from __future__ import annotations

import io
from typing import IO

from PIL import Image

from nplight.data.image_open import check_pixels
from nplight.errors import ArgumentError, printable


def decode(encoded: bytes | IO[bytes], name: str, max_pixels: int) -> Image.Image:
    """The decoded image.

    Args:
        encoded: the content of an image file.
        name: of the image, for messages.
        max_pixels: maximum number of pixels.

    Raises:
        ArgumentError: it is not an image that can be decoded, or it has more pixels.
    """
    try:
        with Image.open(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded) as image:
            check_pixels(image, max_pixels)
            image.load()
            return image
    except Exception as error:  # damaged images raise many kinds of errors
        raise ArgumentError(f"{printable(name)} cannot be read as an image: {error}; mend it or take it out") from error
