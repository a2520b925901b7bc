"""The run folder: Parquet in, Parquet out."""

from nplight.store.folder import RunFolder, write_whole
from nplight.store.parts import PathTable, part_files, read_paths, write_part

__all__ = ["PathTable", "RunFolder", "part_files", "read_paths", "write_part", "write_whole"]
