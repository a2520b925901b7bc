"""The stored image paths of a run as one table."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import Tensor

from nplight.errors import ArgumentError, RunFolderError, check_choice, described, listed
from nplight.methods import METHODS
from nplight.path_checks import Tokens
from nplight.store.folder import RunFolder
from nplight.store.parts import Part, open_part, part_files, refuse_foreign

if TYPE_CHECKING:
    import pandas as pd

_EFFECT = "effect"


class PathTable:
    """Stored image paths, ordered by search (in the order of `METHODS`, other names last) and then by index.

    Only the indices are held in memory; columns are read on access.

    Columns: `index`, `file`, `label` (if missing, -1 in tensors and null elsewhere), `target`, `prediction`,
    `probability` (of the target, in [0, 1]), `score`, `effect` (what the path's removal takes from the objective; in
    parts of older versions, which lack it, NaN in tensors and null elsewhere), `checksum` (of the pixels), `search`,
    `neurons` and `neuron_scores` (layers, K), `ranking` and `ranking_scores` (layers, R). Columns whose K or R differs
    between searches are available for one search at a time, from `where`.

    Args:
        parts: the parts, at least one.
        label: restricts the table to the images of a label; `None`: all images.
        at_all_tokens: the searches that read and edited neurons at all tokens.

    Attributes:
        searches: the names of the searches, in order.

    Raises:
        RunFolderError: a part is damaged, or an image is stored twice for a search.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import tempfile
        >>> import nplight
        >>> from nplight.data import ImageBatch
        >>> from nplight.runs import SearchRun, SearchSettings
        >>> from nplight.store import RunFolder
        >>> folder = RunFolder(tempfile.mkdtemp())
        >>> settings = SearchSettings.of(["joint_integrated_gradients"], kept=(1,))
        >>> with SearchRun(nplight.open_vit(planted.model), folder, settings) as run:
        ...     run.update(ImageBatch(planted.images, planted.labels))
        ...     paths = run.conclude()
        ...
        >>> table = nplight.read_paths(folder.path)
        >>> len(table), table.searches, len(table.where(label=0))
        (16, ('joint_integrated_gradients',), 4)
    """

    def __init__(
        self, parts: Sequence[Part], label: int | None = None, at_all_tokens: Collection[str] = frozenset()
    ) -> None:
        self._parts = sorted(parts, key=lambda part: (_rank(part.search), part.search, part.first))
        self._label = label
        self._at_all_tokens = frozenset(at_all_tokens)
        self.searches = tuple(dict.fromkeys(part.search for part in self._parts))
        with self._reading():
            self._schema = _common_schema(parts)
        self._order = self._sorted()

    def __len__(self) -> int:
        return len(self._order)

    def __repr__(self) -> str:
        rows = f"{len(self)} rows" + ("" if self._label is None else f" of label {self._label}")
        return f"PathTable: {rows}, searches {listed(self.searches)}; columns {listed(self.columns, 20)}"

    @property
    def tokens(self) -> Tokens:
        """At which the paths were searched: `all`, if those of every search of the table were; else `path`."""
        return "all" if self._at_all_tokens.issuperset(self.searches) else "path"

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self._schema.names)

    def shape(self, column: str) -> tuple[int, ...]:
        """The shape of a column's value per image; empty for numbers and strings.

        Raises:
            ArgumentError: unknown column.
        """
        self._check_columns([column], self.columns)
        return tuple(getattr(self._schema.field(column).type, "shape", ()))

    def where(self, *, search: str | None = None, label: int | None = None) -> PathTable:
        """The rows of a search, of a label, or both; only parts that may contain them are read.

        Raises:
            ArgumentError: unknown search, or the table is restricted to another label.
        """
        if search is not None:
            check_choice("search", search, self.searches)
        if None not in (label, self._label) and label != self._label:
            raise ArgumentError(f"`label` must be {self._label}, the only one of this table, got {label}")
        parts = [part for part in self._parts if search in (None, part.search)]
        return PathTable(parts, self._label if label is None else label, self._at_all_tokens)

    def __getitem__(self, column: str) -> Tensor | list[str]:
        """A column as a tensor (images, …), or as a list of strings for `file` and `search`."""
        values = self.to_arrow([column])[column]
        return values.to_pylist() if pa.types.is_string(values.type) else _tensor(column, values)

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All columns, or the given ones.

        Raises:
            ArgumentError: unknown column.
        """
        self._check_columns(columns or (), self.columns)
        return self._scan(self._parts, columns).combine_chunks().take(pa.array(self._order))

    def to_pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All columns, or the given ones; tensors are one NumPy array per row."""
        import pandas as pd

        table = self.to_arrow(columns)
        return pd.DataFrame({name: _series(table[name]) for name in table.column_names})

    def batches(self, columns: Sequence[str], *, size: int = 4096) -> Iterator[dict[str, Tensor]]:
        """Iterate over numeric columns, part by part, in batches of at most `size` images.

        Raises:
            ArgumentError: unknown column, or it is not numeric.
        """
        self._check_columns(columns, [field.name for field in self._schema if not pa.types.is_string(field.type)])
        with self._reading():
            for part in self._chosen(self._parts):
                rows = self._read(part, columns)
                for start in range(0, len(rows), size):
                    yield {name: _tensor(name, rows[name].slice(start, size)) for name in columns}

    def part_indices(self) -> list[Tensor]:
        """The indices of each part's images, in the order of its rows: one (images,) int64 per part."""
        return [torch.from_numpy(np.array(self._index([part]))) for part in self._chosen(self._parts)]

    def part_rows(self, number: int, columns: Sequence[str]) -> dict[str, Tensor]:
        """Numeric columns of the part at a position of `part_indices`.

        Raises:
            RunFolderError: the part is damaged.
        """
        with self._reading():
            rows = self._read(self._chosen(self._parts)[number], columns)
            return {name: _tensor(name, rows[name]) for name in columns}

    def _check_columns(self, columns: Sequence[str], known: Sequence[str]) -> None:
        unknown = [column for column in columns if column not in known]
        if unknown:
            hint = "" if len(self.searches) < 2 else "; columns of several shapes are read by where(search=...)"
            raise ArgumentError(f"a column must be one of {listed(known, 20)}, got {listed(unknown)}{hint}")

    def _sorted(self) -> np.ndarray[Any, Any]:
        """The positions of the rows as they are read, in the table's order."""
        orders, start = [], 0
        for search in self.searches:
            parts = [part for part in self._parts if part.search == search]
            index = self._index(parts)
            order = index.argsort(kind="stable")
            ordered = index[order]
            twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
            if len(twice):
                self._refuse(parts, twice)
            orders.append(start + order)
            start += len(index)
        return np.concatenate(orders)

    def _index(self, parts: Sequence[Part]) -> np.ndarray[Any, Any]:
        ranges = [part.index for part in parts if part.index is not None]
        if self._label is not None or len(ranges) < len(parts):
            return np.asarray(self._scan(parts, ["index"])["index"].to_numpy())
        return np.concatenate([np.arange(index.start, index.stop, index.step) for index in ranges])

    def _refuse(self, parts: Sequence[Part], twice: np.ndarray[Any, Any]) -> None:
        holders = [part.path.name for part in parts if twice[0] in self._index([part])]
        raise RunFolderError(
            f"{parts[0].path.parent} holds images {listed(twice.tolist())} more than once, image {twice[0]} in "
            f"{listed(holders)}; delete one of these parts, or start anew with --overwrite"
        )

    def _chosen(self, parts: Sequence[Part]) -> list[Part]:
        return [part for part in parts if self._label is None or part.may_hold(self._label)]

    def _read(self, part: Part, columns: Sequence[str]) -> pa.Table:
        # Without Arrow's threads, which may deadlock in a forked process.
        with pq.ParquetFile(part.path, pre_buffer=False, page_checksum_verification=True) as file:
            stored = [part.search_column if name == "search" else name for name in columns]
            there = [name for name in stored if name in file.schema_arrow.names]
            rows = file.read([*there, "label"], use_threads=False)
        if self._label is not None:
            rows = rows.filter(pc.equal(rows["label"], self._label))
        if len(there) < len(stored):
            rows = rows.append_column(_EFFECT, pa.nulls(len(rows), self._schema.field(_EFFECT).type))
        return rows.select(stored).rename_columns(list(columns)).replace_schema_metadata()

    def _scan(self, parts: Sequence[Part], columns: Sequence[str] | None) -> pa.Table:
        names = self._schema.names if columns is None else columns
        chosen = self._chosen(parts) or parts[:1]  # a part without rows still has the columns
        with self._reading(), ThreadPoolExecutor() as pool:  # for file systems with high latency
            return pa.concat_tables(pool.map(lambda part: self._read(part, names), chosen))

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            for part in self._parts:
                open_part(part.path, check_data=True)
            raise RunFolderError(f"{self._parts[0].path.parent} cannot be read: {error}") from error


def read_paths(directory: str | os.PathLike[str]) -> PathTable:
    """Read the stored image paths of a run.

    Args:
        directory: the run folder.

    Raises:
        ArgumentError: `directory` is not a path.
        RunFolderError: there is no run, or a part of it is damaged or of another run.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import tempfile
        >>> import nplight
        >>> from nplight.data import ImageBatch
        >>> from nplight.runs import SearchRun, SearchSettings
        >>> from nplight.store import RunFolder
        >>> folder = RunFolder(tempfile.mkdtemp())
        >>> settings = SearchSettings.of(["joint_integrated_gradients"], kept=(1,))
        >>> with SearchRun(nplight.open_vit(planted.model), folder, settings) as run:
        ...     run.update(ImageBatch(planted.images, planted.labels))
        ...     paths = run.conclude()
        ...
        >>> table = nplight.read_paths(folder.path)
        >>> table["neurons"].shape  # (images, layers, K)
        torch.Size([16, 4, 1])
        >>> table.to_pandas(["index", "label", "search"]).head(2)
           index  label                      search
        0      0      0  joint_integrated_gradients
        1      1      1  joint_integrated_gradients
    """
    if not isinstance(directory, (str, os.PathLike)):
        raise ArgumentError(f"`directory` must be the path of a run folder, got {described(directory)}")
    run = RunFolder(Path(directory))
    return _table(run, part_files(run))


def read_searches(run: RunFolder, names: Sequence[str]) -> PathTable:
    """Read the stored image paths of the given searches; parts of other searches are not read.

    Args:
        run: the run folder.
        names: of the searches; at least one must have parts.

    Raises:
        RunFolderError: none of them has parts, or a part is damaged or of another run.

    Examples:
        >>> import tempfile
        >>> import nplight
        >>> import torch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.store import RunFolder, read_searches, write_part
        >>> planted, folder = build_planted(PLANTED["chain"]), RunFolder(tempfile.mkdtemp())
        >>> index, files = torch.arange(16), ["image.png"] * 16
        >>> rows = {"index": index, "files": files, "labels": planted.labels, "checksums": range(16)}
        >>> for method in ("jas", "activation"):
        ...     paths = nplight.search(planted.model, planted.images, planted.labels, method=method)
        ...     write_part(folder, paths, **rows, search=method)
        ...
        >>> read_searches(folder, ["activation"]).searches
        ('activation',)
    """
    return _table(run, [path for name in names for path in part_files(run, name)])


def _table(run: RunFolder, files: Sequence[Path]) -> PathTable:
    with ThreadPoolExecutor() as pool:  # for file systems with high latency
        parts = list(pool.map(open_part, files))
    refuse_foreign(run, parts)
    if not parts:
        raise RunFolderError(
            f"`directory` must be a run folder with a {run.parts.name}/ folder of parts, got {run.path}"
        )
    searches = {part.search for part in parts}
    return PathTable(parts, at_all_tokens=[search for search in searches if run.search_tokens(search) == "all"])


def _rank(search: str) -> int:
    return list(METHODS).index(search) if search in METHODS else len(METHODS)


def _common_schema(parts: Sequence[Part]) -> pa.Schema:
    first, *others = [_schema(part) for part in {part.columns: part for part in parts}.values()]
    return pa.schema([field for field in first if all(field in other for other in others)])


def _schema(part: Part) -> list[pa.Field]:
    """The columns of a part as those of a new one: older ones lack the effect."""
    stored = pq.read_schema(part.path).remove_metadata()
    fields = [field.with_name("search") if field.name == part.search_column else field for field in stored]
    if _EFFECT not in stored.names:
        position = stored.get_field_index("score")
        fields.insert(position + 1, stored.field(position).with_name(_EFFECT))
    return fields


def _tensor(column: str, values: pa.ChunkedArray) -> Tensor:
    missing = {"label": -1, _EFFECT: math.nan}
    tensor = torch.from_numpy(_to_numpy(values.fill_null(missing[column]) if column in missing else values))
    return tensor.long() if tensor.dtype == torch.int32 else tensor


def _to_numpy(values: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    if not isinstance(values.type, pa.FixedShapeTensorType):
        return np.array(values.to_numpy())
    empty = np.empty((0, *values.type.shape), values.type.value_type.to_pandas_dtype())
    return np.concatenate([empty, *(chunk.to_numpy_ndarray() for chunk in values.chunks if len(chunk))])


def _series(values: pa.ChunkedArray) -> Any:
    return list(_to_numpy(values)) if isinstance(values.type, pa.FixedShapeTensorType) else values.to_pandas()
