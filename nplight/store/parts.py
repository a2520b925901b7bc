"""The Parquet parts of a run: some images' paths by one search, each named by the checksums of its bytes."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from nplight.errors import ArgumentError, RunFolderError, listed
from nplight.paths import PathBatch
from nplight.store.atomic_write import write_whole
from nplight.store.folder import RunFolder
from nplight.store.part_checksums import checked_footer, checksums_of

SCHEMA_VERSION = 2
_WITH_METHOD = 1
"""The version whose parts hold the search's name in a column `method`, and their checksums in the file."""

_KEY = b"nplight"
_SEARCH = r"[A-Za-z0-9][A-Za-z0-9_.@-]*"
_NAME = re.compile(rf"(part-({_SEARCH})-\d{{10,}})(?:\.([0-9a-f]{{16}}))?\.parquet")


class DamagedPartError(RunFolderError):
    """A part is not as it was written."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a part says of itself.

    Attributes:
        path: where it is.
        search: the search that found its paths.
        rows: its images.
        first: the smallest index of them.
        index: all of them, where they are equally far apart; else `None`.
        labels: smallest and largest label; `None`: they have none.
        columns: a number that differs for other columns, types or shapes.
        fingerprint: that of the search it was written for; `None` where it does not say.
        search_column: the column with the search's name.
    """

    path: Path
    search: str
    rows: int
    first: int
    index: range | None
    labels: tuple[int, int] | None
    columns: int
    fingerprint: str | None
    search_column: str

    def may_hold(self, label: int) -> bool:
        """Whether an image of this label can be in it."""
        return self.labels is not None and self.labels[0] <= label <= self.labels[1]


def write_part(
    run: RunFolder,
    paths: PathBatch,
    *,
    index: Tensor,
    files: Sequence[str],
    labels: Tensor | None,
    checksums: Sequence[int],
    search: str,
    fingerprint: str | None = None,
) -> None:
    """Write the paths of some images as one Parquet file, whole or not at all.

    Args:
        run: the run folder.
        paths: the paths, of at least one image.
        index: (images,) int64, each image's number in its data set, 0 or more; none of them written before.
        files: each image's file or name.
        labels: (images,) int64, or `None` where there are none.
        checksums: of each image's pixels, 0 or more, by which a run that goes on knows them again.
        search: its name.
        fingerprint: that of the search in this run, `RunFolder.search_fingerprint`.

    Raises:
        ArgumentError: lengths differ, an index stands twice or is negative, or the name cannot be one of a file.
        RunFolderError: such a part is there already, or the folder cannot be written to.
    """
    _check(paths, index, files, labels, checksums, search)
    first = int(index.min())
    stem = _stem(search, first)
    if there := [path for path in part_files(run, search) if _stem_of(path) == stem]:
        raise RunFolderError(
            f"{there[0]} is there already: image {first} came twice, from a sampler that repeats "
            f"images or from two runs at once; every image must come once, with an index of its own"
        )
    table = _table(paths, index, files, labels, checksums, search)
    about = {
        "version": SCHEMA_VERSION,
        "search": search,
        "rows": len(paths),
        "first": first,
        "step": _step(index),
        "labels": None if labels is None else [int(labels.min()), int(labels.max())],
        "columns": crc32(str(table.schema).encode()),
        "run": fingerprint,
    }
    buffer = pa.BufferOutputStream()
    content = table.replace_schema_metadata({_KEY: json.dumps(about).encode()})
    pq.write_table(content, buffer, compression="zstd", write_page_checksum=True)
    parquet = buffer.getvalue().to_pybytes()
    path = run.parts / f"{stem}.{checksums_of(parquet)}.parquet"
    write_whole(path, lambda temporary: temporary.write_bytes(parquet))


def part_files(run: RunFolder, search: str | None = None) -> list[Path]:
    """What is named as the parts of a run, or of one search in it; not what a killed run left half written.

    Raises:
        RunFolderError: the folder cannot be read.
    """
    try:
        names = sorted(os.listdir(run.parts)) if run.parts.is_dir() else []
    except OSError as error:
        raise RunFolderError(f"{run.parts} cannot be read: {error.strerror}; make it readable") from error
    return [run.parts / name for name in names if (match := _NAME.fullmatch(name)) and search in (None, match[2])]


def open_part(path: Path, *, whole: bool = False) -> Part:
    """What a part says of itself, once its footer (or, if `whole`, every byte) is seen to be what was written.

    Raises:
        DamagedPartError: it is damaged, no plain file, not what its name says, or of another version.
        RunFolderError: it cannot be read.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ValueError("it is a link or no file at all")
        name = _NAME.fullmatch(path.name)
        footer = checked_footer(path, name and name[3], whole=whole)
        metadata = pq.read_metadata(pa.BufferReader(footer))
        about = json.loads(metadata.metadata[_KEY])
        if about["version"] not in (SCHEMA_VERSION, _WITH_METHOD):
            raise ValueError(f"it is of version {about['version']}, and this nplight reads {SCHEMA_VERSION}")
        search_column = "method" if about["version"] == _WITH_METHOD else "search"
        labels = about["labels"] and (about["labels"][0], about["labels"][1])
        search, rows, first, step = about[search_column], about["rows"], about["first"], about["step"]
        index = step and range(first, first + rows * step, step)
        part = Part(path, search, rows, first, index, labels, about["columns"], about.get("run"), search_column)
        if rows != metadata.num_rows or _stem_of(path) != _stem(search, first):
            raise ValueError(f"it holds {metadata.num_rows} rows of {_stem(search, first)}")
    except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DamagedPartError(f"{path} is damaged: {error}; {way_out(path)}") from error
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}; make it readable") from error
    return part


def refuse_foreign(run: RunFolder, parts: Sequence[Part]) -> None:
    """Refuse parts of another run; where none of a search says whose it is, as older ones do not, all are taken.

    Raises:
        RunFolderError: naming one.
    """
    for search in dict.fromkeys(part.search for part in parts):
        own = [part for part in parts if part.search == search]
        if all(part.fingerprint is None for part in own):
            continue
        wanted = run.search_fingerprint(search) or own[0].fingerprint
        if foreign := next((part for part in own if part.fingerprint != wanted), None):
            raise RunFolderError(
                f"{foreign.path} is of another run than the settings or the other parts of {run.path}; "
                f"{way_out(foreign.path)}"
            )


def way_out(path: Path) -> str:
    """What to do about a part that cannot be used, for people."""
    name = _NAME.fullmatch(path.name)
    search = name[2].partition("@")[0] if name else "its search"
    return f"a run in this folder with {search!r} among its searches sets it aside and searches its images anew"


def _stem(search: str, first: int) -> str:
    return f"part-{search}-{first:010d}"


def _stem_of(path: Path) -> str | None:
    name = _NAME.fullmatch(path.name)
    return name and name[1]


def _step(index: Tensor) -> int | None:
    steps = index.sort().values.diff().unique().tolist()
    return 1 if not steps else int(steps[0]) if len(steps) == 1 else None


def _check(
    paths: PathBatch,
    index: Tensor,
    files: Sequence[str],
    labels: Tensor | None,
    checksums: Sequence[int],
    search: str,
) -> None:
    if not re.fullmatch(_SEARCH, search):
        raise ArgumentError(f"`search` must be of letters, digits, '_', '-', '.' and '@', got {search!r}")
    lengths = [len(paths), len(index), len(files), len(checksums), len(index if labels is None else labels)]
    if len(set(lengths)) > 1 or not len(paths):
        raise ArgumentError(
            f"`paths`, `index`, `files`, `checksums` and `labels` must be of as many images, at least one, "
            f"got {listed(lengths)}"
        )
    if int(index.min()) < 0 or len(index.unique()) < len(index):
        raise ArgumentError(f"`index` must number each image differently, from 0 on, got {listed(index.tolist())}")


def _table(
    paths: PathBatch,
    index: Tensor,
    files: Sequence[str],
    labels: Tensor | None,
    checksums: Sequence[int],
    search: str,
) -> pa.Table:
    order = index.argsort().cpu()
    count = len(order)

    def values(of: Tensor) -> np.ndarray:
        rows = of.detach().cpu()[order]
        return np.ascontiguousarray((rows.float() if rows.dtype in (torch.bfloat16, torch.float16) else rows).numpy())

    def tensors(of: Tensor) -> pa.Array:
        return pa.FixedShapeTensorArray.from_numpy_ndarray(values(of))

    # File names are bytes, and need not be text in any encoding.
    names = [files[position].encode(errors="backslashreplace").decode() for position in order.tolist()]
    return pa.table(
        {
            "index": values(index),
            "file": pa.array(names, pa.string()),
            "label": pa.nulls(count, pa.int64()) if labels is None else values(labels.to(torch.int64)),
            "target": values(paths.targets),
            "prediction": values(paths.predictions),
            "probability": values(paths.probability),
            "score": values(paths.scores),
            "checksum": pa.array([checksums[position] for position in order.tolist()], pa.int64()),
            "search": pa.array([search] * count, pa.string()),
            "neurons": tensors(paths.neurons.int()),
            "neuron_scores": tensors(paths.neuron_scores),
            "ranking": tensors(paths.ranking.int()),
            "ranking_scores": tensors(paths.ranking_scores),
        }
    )
