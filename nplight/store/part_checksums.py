"""Checksums of a part: of its footer, which says what the data is and where, and of the data before it.

Parquet's own page checksums cover neither the footer nor what surrounds the pages.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from zlib import crc32

_END = struct.Struct("<I4s")  # the footer's length and Parquet's mark
_MARK = b"PAR1"
# Older parts have theirs in the file, between data and footer: tag, CRC-32 of the data, CRC-32 of the footer.
_INSIDE = struct.Struct("<4sII")
_TAG = b"NPL1"


def checksums_of(parquet: bytes) -> str:
    """CRC-32 of footer and data of a Parquet file, 16 hexadecimal digits."""
    length, _ = _END.unpack(parquet[-_END.size :])
    start = len(parquet) - _END.size - length
    return f"{crc32(parquet[start:]):08x}{crc32(parquet[:start]):08x}"


def checked_footer(path: Path, checksums: str | None, *, whole: bool) -> bytes:
    """The footer of a part.

    Args:
        path: the part.
        checksums: as `checksums_of` the part when it was written; `None`: those inside an older part.
        whole: check the data, too, which reads the whole file.

    Raises:
        ValueError: the part is not as it was written.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END.size))
        end = file.read()
        length, mark = _END.unpack(end) if len(end) == _END.size else (0, b"")
        start = size - _END.size - length
        if mark != _MARK or start < _INSIDE.size:
            raise ValueError("it is cut short or no Parquet file")
        file.seek(start - _INSIDE.size)
        inside, footer = file.read(_INSIDE.size), file.read()
        if checksums is None:
            start -= _INSIDE.size
            tag, data, foot = _INSIDE.unpack(inside)
            if tag != _TAG:
                raise ValueError("its checksums are missing, from its name and from its data")
        else:
            foot, data = int(checksums[:8], 16), int(checksums[8:], 16)
        if crc32(footer) != foot:
            raise ValueError("its footer is not what was written")
        file.seek(0)
        if whole and crc32(file.read(start)) != data:
            raise ValueError("its data is not what was written")
    return footer
