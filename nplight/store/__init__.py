"""The run folder: Parquet in, Parquet out."""

from nplight.store.atomic_write import write_whole
from nplight.store.folder import RunFolder
from nplight.store.parts import part_files, write_part
from nplight.store.stored import StoredImages, stored_images
from nplight.store.table import PathTable, read_paths, read_searches

__all__ = [
    "PathTable",
    "RunFolder",
    "StoredImages",
    "part_files",
    "read_paths",
    "read_searches",
    "stored_images",
    "write_part",
    "write_whole",
]
