"""The run folder: Parquet in, Parquet out."""

from nplight.store.checked_json import read_checked
from nplight.store.folder import RunFolder
from nplight.store.parts import part_files, write_part
from nplight.store.stored import StoredImages, stored_images
from nplight.store.table import PathTable, read_paths, read_searches
from nplight.store.whole import write_whole

__all__ = [
    "PathTable",
    "RunFolder",
    "StoredImages",
    "part_files",
    "read_checked",
    "read_paths",
    "read_searches",
    "stored_images",
    "write_part",
    "write_whole",
]
