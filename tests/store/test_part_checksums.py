from __future__ import annotations

from pathlib import Path
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nplight.store.part_checksums import checked_footer, checksums_of


def parquet_bytes() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"index": list(range(100))}), sink)
    return bytes(sink.getvalue().to_pybytes())


def test_the_checksums_cover_every_byte_once(tmp_path: Path) -> None:
    content = parquet_bytes()
    checksums = checksums_of(content)
    (tmp_path / "part").write_bytes(content)
    footer = checked_footer(tmp_path / "part", checksums, check_data=True)
    assert content.endswith(footer)
    data = content.removesuffix(footer)
    assert checksums == f"{crc32(footer):08x}{crc32(data):08x}"
    assert pq.read_metadata(pa.BufferReader(footer)).num_rows == 100


def test_every_changed_byte_is_noticed_and_the_footer_without_reading_the_data(tmp_path: Path) -> None:
    content = parquet_bytes()
    checksums, path = checksums_of(content), tmp_path / "part"
    data = len(content) - len(_written(path, content, checksums))
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        if place < data:
            checked_footer(path, checksums, check_data=False)
        with pytest.raises(ValueError, match=r"is not what was written|cut short"):
            checked_footer(path, checksums, check_data=place < data)


def _written(path: Path, content: bytes, checksums: str) -> bytes:
    path.write_bytes(content)
    return checked_footer(path, checksums, check_data=False)
