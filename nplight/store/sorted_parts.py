"""Parts of a search written anew: sorted by index, cut at numbers of rows that follow from the columns alone.

The files depend on the images and their paths, not on batches, processes, interruptions or shards.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nplight.store.parts import Part, write_table

MOST_PARTS = 128
"""Of a search that are left as they were written: more are compacted when the run ends."""

MOST_ROWS = 4096
MOST_BYTES = 32 << 20
"""Of a compacted part, before compression: a reader holds several, and damage to one costs its images."""

_MOST_READS = 16
"""How often each part may be read: more only where a loader shuffled a great many images."""

_Index = np.ndarray[Any, np.dtype[np.int64]]


def block_rows(schema: pa.Schema, rows: int) -> int:
    """Number of rows of each compacted part but the last: a power of two.

    As few as make at most `MOST_PARTS` parts, so that a damaged part costs at most a 64th of the images; in large runs
    `MOST_ROWS`, or fewer where they take more than `MOST_BYTES`.

    Args:
        schema: of the rows.
        rows: number of rows of the search.
    """
    tensors = [field.type for field in schema if isinstance(field.type, pa.FixedShapeTensorType)]
    values = sum(int(np.prod(tensor.shape)) * tensor.value_type.bit_width // 8 for tensor in tensors)
    fitting = MOST_BYTES // (values + 8 * len(schema))
    enough = 1 << (-(-rows // MOST_PARTS) - 1).bit_length()
    return min(MOST_ROWS, enough, 1 << max(0, int(fitting).bit_length() - 1))


def needs_compaction(parts: Sequence[Part]) -> bool:
    """Whether the parts of a search are many, or were compacted once, and are not those `write_sorted` would write."""
    return (len(parts) > MOST_PARTS or any(part.compacted for part in parts)) and not is_sorted(parts)


def is_sorted(parts: Sequence[Part]) -> bool:
    """Whether the parts of a search, at least one, are those that `write_sorted` would write."""
    if not all(part.compacted for part in parts):
        return False
    ordered = sorted(parts, key=lambda part: part.first)
    rows = block_rows(pq.read_schema(ordered[0].path), sum(part.rows for part in parts))
    full = all(part.rows == rows for part in ordered[:-1]) and ordered[-1].rows <= rows
    apart = (one.last is not None and one.last < other.first for one, other in itertools.pairwise(ordered))
    return full and all(apart)


def write_sorted(parts: Sequence[Part], folder: Path, fingerprint: str | None) -> list[str] | None:
    """Write the rows of a search's parts as new parts, sorted by index; a few parts are held in memory.

    Args:
        parts: of one search, with equal columns; no image twice.
        folder: where the new parts go.
        fingerprint: of the search in the run that the new parts belong to.

    Returns:
        The names of the new parts; `None`, and nothing written, where the rows are in no order, or were written by
        another version, and stay as they are.
    """
    if len({part.columns for part in parts}) > 1 or any(part.search_column != "search" for part in parts):
        return None
    schema = pq.read_schema(parts[0].path)
    layout = _Layout([_index(part) for part in parts], block_rows(schema, sum(part.rows for part in parts)))
    if layout.reads > _MOST_READS * len(parts):
        return None
    return [write_table(folder, table, fingerprint, compacted=True).name for table in _blocks(parts, layout)]


class _Layout:
    """Which rows of which parts stand in which block.

    Args:
        indices: of each part's rows.
        rows: of a block.

    Attributes:
        rows: of a block.
    """

    def __init__(self, indices: Sequence[_Index], rows: int) -> None:
        self._starts = np.cumsum([0, *map(len, indices)])
        self._order = np.concatenate(indices).argsort(kind="stable")
        self.rows = rows

    @property
    def reads(self) -> int:
        """Parts to read, over all blocks."""
        return sum(len(np.unique(owners)) for owners, _ in self)

    def __iter__(self) -> Iterator[tuple[_Index, _Index]]:
        """Of each block, in order: the part of each row, and the row's position in it."""
        for start in range(0, len(self._order), self.rows):
            rows = self._order[start : start + self.rows]
            owners = np.searchsorted(self._starts, rows, side="right") - 1
            yield owners, rows - self._starts[owners]


def _blocks(parts: Sequence[Part], layout: _Layout) -> Iterator[pa.Table]:
    previous: dict[int, pa.Table] = {}
    for owners, positions in layout:
        pieces, places = [], []
        held: dict[int, pa.Table] = {}
        for owner in np.unique(owners).tolist():
            table = previous.get(owner)
            table = read_rows(parts[owner]) if table is None else table
            mine = (owners == owner).nonzero()[0]
            pieces.append(table.take(pa.array(positions[mine])))
            places.append(mine)
            # The next block goes on in a part that this one did not exhaust.
            unread = positions[mine].max() < table.num_rows - 1
            if unread and sum(len(other) for other in held.values()) + len(table) <= 2 * layout.rows:
                held[owner] = table
        previous = held
        block = pa.concat_tables(pieces).combine_chunks().take(pa.array(np.concatenate(places).argsort()))
        yield block.combine_chunks()


def read_rows(part: Part) -> pa.Table:
    """The rows of a part, as they were given to `write_table`."""
    # Without Arrow's threads, which may deadlock in a forked process.
    with pq.ParquetFile(part.path, pre_buffer=False, page_checksum_verification=True) as file:
        return file.read(use_threads=False).replace_schema_metadata()


def _index(part: Part) -> _Index:
    if part.index is not None:
        return np.arange(part.index.start, part.index.stop, part.index.step)
    with pq.ParquetFile(part.path, pre_buffer=False, page_checksum_verification=True) as file:
        return np.asarray(file.read(["index"], use_threads=False)["index"].to_numpy())
