"""Checksums of a part: of its footer, which describes the data, and of the data before it.

Parquet's page checksums cover neither the footer nor the bytes between pages.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from zlib import crc32

_END = struct.Struct("<I4s")  # the footer's length and Parquet's mark
_MARK = b"PAR1"
# Parts of older versions have them in the file, between data and footer: tag, CRC-32 of the data, CRC-32 of the footer.
_INSIDE = struct.Struct("<4sII")
_TAG = b"NPL1"


def checksums_of(parquet: bytes) -> str:
    """CRC-32 of footer and data of a Parquet file, 16 hexadecimal digits."""
    length, _ = _END.unpack(parquet[-_END.size :])
    start = len(parquet) - _END.size - length
    return f"{crc32(parquet[start:]):08x}{crc32(parquet[:start]):08x}"


def checked_footer(path: Path, checksums: str | None, *, check_data: bool) -> bytes:
    """The footer of a part.

    Args:
        path: the part.
        checksums: from `checksums_of` when the part was written; `None`: those inside a part of an older version.
        check_data: also check the data, which reads the whole file.

    Raises:
        ValueError: the part differs from what was written.
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
        if check_data and crc32(file.read(start)) != data:
            raise ValueError("its data is not what was written")
    return footer
