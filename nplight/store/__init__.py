"""The run folder: its files, its lock, and the stored image paths in Parquet."""

from nplight.store.atomic_write import write_whole
from nplight.store.compaction import compact, finish_compaction
from nplight.store.folder import RunFolder
from nplight.store.parts import part_files, write_part
from nplight.store.path_table import PathTable, read_paths, read_searches
from nplight.store.row_lookup import RowLookup
from nplight.store.stored_images import StoredImages, stored_images

__all__ = [
    "PathTable",
    "RowLookup",
    "RunFolder",
    "StoredImages",
    "compact",
    "finish_compaction",
    "part_files",
    "read_paths",
    "read_searches",
    "stored_images",
    "write_part",
    "write_whole",
]
