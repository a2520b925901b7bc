"""Checksums of a whole Parquet file inside the file.

Parquet's page checksums cover the data, not the footer that says where and what the data is. A seal, 12 bytes between
the two where no reader looks, covers both: tag, CRC-32 of everything before it, CRC-32 of everything after it.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from zlib import crc32

_SEAL = struct.Struct("<4sII")
_TAG = b"NPL1"
_END = struct.Struct("<I4s")  # the footer's length and Parquet's mark
_MARK = b"PAR1"


def sealed(parquet: bytes) -> bytes:
    """A Parquet file's bytes with their seal."""
    length, _ = _END.unpack(parquet[-_END.size :])
    cut = len(parquet) - _END.size - length
    body, footer = parquet[:cut], parquet[cut:]
    return b"".join([body, _SEAL.pack(_TAG, crc32(body), crc32(footer)), footer])


def checked_footer(path: Path, *, whole: bool) -> bytes:
    """The footer of a sealed file.

    Args:
        path: the file.
        whole: check the data, too, which reads the whole file.

    Raises:
        ValueError: the file is not as it was written.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END.size))
        end = file.read()
        length, mark = _END.unpack(end) if len(end) == _END.size else (0, b"")
        start = size - _END.size - length - _SEAL.size
        if mark != _MARK or start < 0:
            raise ValueError("it is cut short or no Parquet file")
        file.seek(start)
        tag, body, foot = _SEAL.unpack(file.read(_SEAL.size))
        footer = file.read()
        if tag != _TAG or crc32(footer) != foot:
            raise ValueError("its footer is not what was written")
        file.seek(0)
        if whole and crc32(file.read(start)) != body:
            raise ValueError("its data is not what was written")
    return footer
