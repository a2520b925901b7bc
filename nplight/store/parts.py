"""The Parquet parts of a run: paths of a group of images by one search, with checksums in the file name."""

from __future__ import annotations

import json
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
from nplight.store.part_listing import listed_files

SCHEMA_VERSION = 2
_WITH_METHOD = 1
"""The version with the search's name in a column `method` and the checksums in the file."""

_KEY = b"nplight"
_SEARCH = r"[A-Za-z0-9][A-Za-z0-9_.@-]*"
_NAME = re.compile(rf"(part-({_SEARCH})-\d{{10,}})(?:\.([0-9a-f]{{16}}))?\.parquet")


class DamagedPartError(RunFolderError):
    """A part differs from what was written."""


@dataclass(frozen=True, slots=True)
class Part:
    """The metadata of a part.

    Attributes:
        path: of the file.
        search: the search that found its paths.
        rows: number of images.
        first: the smallest image index.
        index: all image indices if they are equally spaced; else `None`.
        labels: smallest and largest label; `None` without labels.
        columns: a checksum of names, types and shapes of the columns.
        fingerprint: of the search it was written for; `None` if not stored.
        search_column: name of the column with the search's name.
        last: the largest image index, where the part is a compacted one; else `None`.
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
    last: int | None

    @property
    def compacted(self) -> bool:
        """Whether the part was put together from others, in order of the index, when the run ended."""
        return self.last is not None

    def may_hold(self, label: int) -> bool:
        """Whether the part may contain an image of a label."""
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
    """Write the paths of a group of images as one Parquet file, atomically.

    Args:
        run: the run folder.
        paths: the paths, of at least one image.
        index: (images,) int64, each image's number in its data set, at least 0, none written before.
        files: each image's file name.
        labels: (images,) int64, or `None`.
        checksums: of each image's pixels, at least 0, by which a resumed run recognises images.
        search: name of the search.
        fingerprint: of the search in this run, from `RunFolder.search_fingerprint`.

    Raises:
        ArgumentError: lengths differ, an index is repeated or negative, or the search's name is not a valid file name.
        RunFolderError: the part exists already, or the folder cannot be written.

    Examples:
        >>> import tempfile
        >>> import nplight
        >>> import torch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.store import RunFolder, write_part
        >>> planted, folder = build_planted(PLANTED["chain"]), RunFolder(tempfile.mkdtemp())
        >>> paths, index = nplight.search(planted.model, planted.images, planted.labels), torch.arange(16)
        >>> files, sums = [f"{number}.png" for number in range(16)], range(16)
        >>> write_part(folder, paths, index=index, files=files, labels=planted.labels, checksums=sums, search="jas")
        >>> nplight.read_paths(folder.path)["file"][:2]
        ['0.png', '1.png']
    """
    _check(paths, index, files, labels, checksums, search)
    first = int(index.min())
    stem = _stem(search, first)
    if existing := [path for path in part_files(run, search) if _stem_of(path) == stem]:
        raise RunFolderError(
            f"{existing[0]} is there already: image {first} came twice, from a sampler that repeats "
            f"images or from two runs at once; every image must come once, with an index of its own"
        )
    write_table(run.parts, _table(paths, index, files, labels, checksums, search), fingerprint)


def write_table(folder: Path, table: pa.Table, fingerprint: str | None, *, compacted: bool = False) -> Path:
    """Write the rows of a part, in ascending order of their index, atomically.

    Args:
        folder: of the parts.
        table: at least one row of one search, with the columns of a part.
        fingerprint: of the search in its run.
        compacted: whether the rows are put together from other parts.

    Returns:
        The path of the part.

    Raises:
        RunFolderError: the folder cannot be written.
    """
    index, labels = table["index"].to_numpy(), table["label"].drop_null().to_numpy()
    search, first = table["search"][0].as_py(), int(index[0])
    about = {
        "version": SCHEMA_VERSION,
        "search": search,
        "rows": len(index),
        "first": first,
        "step": _step(index),
        "labels": [int(labels.min()), int(labels.max())] if len(labels) else None,
        "columns": crc32(str(table.schema).encode()),
        "run": fingerprint,
        **({"last": int(index[-1])} if compacted else {}),
    }
    buffer = pa.BufferOutputStream()
    content = table.replace_schema_metadata({_KEY: json.dumps(about).encode()})
    pq.write_table(content, buffer, compression="zstd", write_page_checksum=True)
    parquet = buffer.getvalue().to_pybytes()
    path = folder / f"{_stem(search, first)}.{checksums_of(parquet)}.parquet"
    write_whole(path, lambda temporary: temporary.write_bytes(parquet))
    return path


def part_files(run: RunFolder, search: str | None = None) -> list[Path]:
    """The files named as parts of a run, or of one of its searches; temporary files are left out.

    Raises:
        RunFolderError: the folder cannot be read, or the list of a compaction is damaged.

    Examples:
        >>> import tempfile
        >>> import nplight
        >>> from nplight.data import ImageBatch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.runs import SearchRun, SearchSettings
        >>> from nplight.store import RunFolder
        >>> planted, folder = build_planted(PLANTED["chain"]), RunFolder(tempfile.mkdtemp())
        >>> vit, batch = nplight.open_vit(planted.model), ImageBatch(planted.images, planted.labels)
        >>> with SearchRun(vit, folder, SearchSettings.of(["jas"], kept=(1, 2))) as search:
        ...     search.update(batch)
        ...     paths = search.conclude()
        ...
        >>> from nplight.store import part_files
        >>> len(part_files(folder, "jas"))
        1
    """
    files = listed_files(run.parts)
    return [path for name, path in files.items() if (match := _NAME.fullmatch(name)) and search in (None, match[2])]


def open_part(path: Path, *, check_data: bool = False) -> Part:
    """The metadata of a part, once its footer (with `check_data` the whole file) matches its checksums.

    Raises:
        DamagedPartError: the part is damaged, not a regular file, of another version, or differs from its name.
        RunFolderError: it cannot be read.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ValueError("it is a link or no file at all")
        name = _NAME.fullmatch(path.name)
        footer = checked_footer(path, name and name[3], check_data=check_data)
        metadata = pq.read_metadata(pa.BufferReader(footer))
        about = json.loads(metadata.metadata[_KEY])
        if about["version"] not in (SCHEMA_VERSION, _WITH_METHOD):
            raise ValueError(f"it is of version {about['version']}, and this nplight reads {SCHEMA_VERSION}")
        search_column = "method" if about["version"] == _WITH_METHOD else "search"
        labels = about["labels"] and (about["labels"][0], about["labels"][1])
        search, rows, first, step = about[search_column], about["rows"], about["first"], about["step"]
        index = step and range(first, first + rows * step, step)
        columns, fingerprint, last = about["columns"], about.get("run"), about.get("last")
        part = Part(path, search, rows, first, index, labels, columns, fingerprint, search_column, last)
        if rows != metadata.num_rows or _stem_of(path) != _stem(search, first):
            raise ValueError(f"it holds {metadata.num_rows} rows of {_stem(search, first)}")
    except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DamagedPartError(f"{path} is damaged: {error}; {way_out(path)}") from error
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}; make it readable") from error
    return part


def refuse_foreign(run: RunFolder, parts: Sequence[Part]) -> None:
    """Refuse parts of another run; if no part of a search stores a fingerprint, as in older versions, all are accepted.

    Raises:
        RunFolderError: a part is of another run; the first one is named.
    """
    for search in dict.fromkeys(part.search for part in parts):
        of_search = [part for part in parts if part.search == search]
        if all(part.fingerprint is None for part in of_search):
            continue
        fingerprint = run.search_fingerprint(search) or of_search[0].fingerprint
        if foreign := next((part for part in of_search if part.fingerprint != fingerprint), None):
            raise RunFolderError(
                f"{foreign.path} is of another run than the settings or the other parts of {run.path}; "
                f"{way_out(foreign.path)}"
            )


def way_out(path: Path) -> str:
    """The way out for a part that cannot be used, as text."""
    name = _NAME.fullmatch(path.name)
    search = name[2].partition("@")[0] if name else "its search"
    return f"a run in this folder with {search!r} among its searches sets it aside and searches its images anew"


def _stem(search: str, first: int) -> str:
    return f"part-{search}-{first:010d}"


def _stem_of(path: Path) -> str | None:
    name = _NAME.fullmatch(path.name)
    return name and name[1]


def _step(index: np.ndarray) -> int | None:
    steps = np.unique(np.diff(index)).tolist()
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

    def values(column: Tensor) -> np.ndarray:
        rows = column.detach().cpu()[order]
        return np.ascontiguousarray((rows.float() if rows.dtype in (torch.bfloat16, torch.float16) else rows).numpy())

    def tensors(column: Tensor) -> pa.Array:
        return pa.FixedShapeTensorArray.from_numpy_ndarray(values(column))

    # File names are bytes and may be invalid in every encoding.
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
            "effect": values(paths.effect),
            "checksum": pa.array([checksums[position] for position in order.tolist()], pa.int64()),
            "search": pa.array([search] * count, pa.string()),
            "neurons": tensors(paths.neurons.int()),
            "neuron_scores": tensors(paths.neuron_scores),
            "ranking": tensors(paths.ranking.int()),
            "ranking_scores": tensors(paths.ranking_scores),
            "evaluations": values(paths.evaluations),
        }
    )
