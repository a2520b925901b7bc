"""The Parquet parts of a run: some images' paths by one method, each part whole, sealed, and sure of what it holds."""

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
from nplight.store.seal import checked_footer, sealed

SCHEMA_VERSION = 1
_KEY = b"nplight"
_METHOD = r"[A-Za-z0-9][A-Za-z0-9_.@-]*"
_NAME = re.compile(rf"part-({_METHOD})-\d{{10,}}\.parquet")


class DamagedPartError(RunFolderError):
    """A part is not as it was written."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a part says of itself.

    Attributes:
        path: where it is.
        method: the search that found its paths.
        rows: its images.
        first: the smallest index of them.
        index: all of them, where they are equally far apart; else `None`.
        labels: smallest and largest label; `None`: they have none.
        columns: a number that differs for other columns, types or shapes.
        fingerprint: that of the search it was written for; `None` where it does not say.
    """

    path: Path
    method: str
    rows: int
    first: int
    index: range | None
    labels: tuple[int, int] | None
    columns: int
    fingerprint: str | None

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
    method: str,
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
        method: the name of the search.
        fingerprint: that of the search in this run, `RunFolder.search_fingerprint`.

    Raises:
        ArgumentError: lengths differ, an index stands twice or is negative, or the name cannot be one of a file.
        RunFolderError: such a part is there already, or the folder cannot be written to.
    """
    _check(paths, index, files, labels, checksums, method)
    first = int(index.min())
    path = run.parts / _name(method, first)
    if os.path.lexists(path):
        raise RunFolderError(
            f"{path} is there already: image {first} came twice, from a sampler that repeats "
            f"images or from two runs at once; every image must come once, with an index of its own"
        )
    table = _table(paths, index, files, labels, checksums, method)
    about = {
        "version": SCHEMA_VERSION,
        "method": method,
        "rows": len(paths),
        "first": first,
        "step": _step(index),
        "labels": None if labels is None else [int(labels.min()), int(labels.max())],
        "columns": crc32(str(table.schema).encode()),
        "run": fingerprint,
    }

    def write(temporary: Path) -> None:
        buffer = pa.BufferOutputStream()
        content = table.replace_schema_metadata({_KEY: json.dumps(about).encode()})
        pq.write_table(content, buffer, compression="zstd", write_page_checksum=True)
        temporary.write_bytes(sealed(buffer.getvalue().to_pybytes()))

    write_whole(path, write)


def part_files(run: RunFolder, method: str | None = None) -> list[Path]:
    """What is named as the parts of a run, or of one method in it; not what a killed run left half written.

    Raises:
        RunFolderError: the folder cannot be read.
    """
    try:
        names = sorted(os.listdir(run.parts)) if run.parts.is_dir() else []
    except OSError as error:
        raise RunFolderError(f"{run.parts} cannot be read: {error.strerror}; make it readable") from error
    return [run.parts / name for name in names if (found := _NAME.fullmatch(name)) and method in (None, found[1])]


def open_part(path: Path, *, whole: bool = False) -> Part:
    """What a part says of itself, once its footer (or, if `whole`, every byte) is seen to be what was written.

    Raises:
        DamagedPartError: it is damaged, no plain file, not what its name says, or of another version.
        RunFolderError: it cannot be read.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ValueError("it is a link or no file at all")
        metadata = pq.read_metadata(pa.BufferReader(checked_footer(path, whole=whole)))
        about = json.loads(metadata.metadata[_KEY])
        if about["version"] != SCHEMA_VERSION:
            raise ValueError(f"it is of version {about['version']}, and this nplight reads {SCHEMA_VERSION}")
        labels = about["labels"] and (about["labels"][0], about["labels"][1])
        rows, first, step = about["rows"], about["first"], about["step"]
        index = step and range(first, first + rows * step, step)
        part = Part(path, about["method"], rows, first, index, labels, about["columns"], about.get("run"))
        if part.rows != metadata.num_rows or path.name != _name(part.method, part.first):
            raise ValueError(f"it holds {metadata.num_rows} rows of {_name(part.method, part.first)}")
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
    for method in dict.fromkeys(part.method for part in parts):
        own = [part for part in parts if part.method == method]
        if all(part.fingerprint is None for part in own):
            continue
        wanted = run.search_fingerprint(method) or own[0].fingerprint
        if foreign := next((part for part in own if part.fingerprint != wanted), None):
            raise RunFolderError(
                f"{foreign.path} is of another run than the settings or the other parts of {run.path}; "
                f"{way_out(foreign.path)}"
            )


def way_out(path: Path) -> str:
    """What to do about a part that cannot be used, for people."""
    found = _NAME.fullmatch(path.name)
    search = found[1].partition("@")[0] if found else "its search"
    return f"a run in this folder with {search!r} among its searches sets it aside and searches its images anew"


def _name(method: str, first: int) -> str:
    return f"part-{method}-{first:010d}.parquet"


def _step(index: Tensor) -> int | None:
    steps = index.sort().values.diff().unique().tolist()
    return 1 if not steps else int(steps[0]) if len(steps) == 1 else None


def _check(
    paths: PathBatch,
    index: Tensor,
    files: Sequence[str],
    labels: Tensor | None,
    checksums: Sequence[int],
    method: str,
) -> None:
    if not re.fullmatch(_METHOD, method):
        raise ArgumentError(f"`method` must be of letters, digits, '_', '-', '.' and '@', got {method!r}")
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
    method: str,
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
            "method": pa.array([method] * count, pa.string()),
            "neurons": tensors(paths.neurons.int()),
            "neuron_scores": tensors(paths.neuron_scores),
            "ranking": tensors(paths.ranking.int()),
            "ranking_scores": tensors(paths.ranking_scores),
        }
    )
