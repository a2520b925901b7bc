"""Image paths as Parquet: written part by part, read as one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import torch
from pyarrow.fs import LocalFileSystem
from torch import Tensor

from nplight.errors import ArgumentError, RunFolderError, listed
from nplight.paths import PathBatch
from nplight.store.folder import RunFolder, write_whole

if TYPE_CHECKING:
    import pandas as pd


def write_part(
    run: RunFolder,
    paths: PathBatch,
    *,
    index: Tensor,
    files: Sequence[str],
    labels: Tensor | None,
    checksums: Sequence[int],
    method: str,
) -> None:
    """Write the paths of some images as one Parquet file, whole or not at all.

    Args:
        run: the run folder.
        paths: the paths.
        index: (images,) int64, each image's number in its data set; none of them written before.
        files: each image's file or name.
        labels: (images,) int64, or `None` where there are none.
        checksums: of each image's pixels, by which a run that goes on knows them again.
        method: which search.
    """
    order = index.argsort().cpu()
    count = len(order)

    def column(values: Tensor) -> pa.Array:
        return pa.array(values.detach().cpu()[order].numpy())

    def tensors(values: Tensor) -> pa.Array:
        array = np.ascontiguousarray(values.detach().cpu()[order].numpy())
        return pa.FixedShapeTensorArray.from_numpy_ndarray(array)

    table = pa.table(
        {
            "index": column(index),
            "file": pa.array([files[position] for position in order.tolist()], pa.string()),
            "label": pa.nulls(count, pa.int64()) if labels is None else column(labels.to(torch.int64)),
            "target": column(paths.targets),
            "prediction": column(paths.predictions),
            "probability": column(paths.probability),
            "score": column(paths.scores),
            "checksum": pa.array([checksums[position] for position in order.tolist()], pa.int64()),
            "method": pa.array([method] * count, pa.string()),
            "neurons": tensors(paths.neurons.int()),
            "neuron_scores": tensors(paths.neuron_scores),
            "ranking": tensors(paths.ranking.int()),
            "ranking_scores": tensors(paths.ranking_scores),
        }
    )
    name = f"part-{int(index.min()):010d}.parquet"
    if (run.parts / name).exists():
        raise RunFolderError(
            f"{run.parts / name} is there already: image {int(index.min())} came twice, from a sampler that repeats "
            f"images or from two runs at once; every image must come once, with an index of its own"
        )

    def write(path: Path) -> None:
        with path.open("wb") as file:  # not by name, which could look like an address
            pq.write_table(table, file, compression="zstd")

    write_whole(run.parts / name, write)


class PathTable:
    """The stored image paths of a run, ordered by index; columns are read when they are asked for.

    Columns: `index`, `file`, `label` (-1 in tensors, null elsewhere, where there is none), `target`, `prediction`,
    `probability` (of the target, in [0, 1]), `score`, `checksum` (of the pixels), `method`, `neurons` and
    `neuron_scores` (layers, K), `ranking` and `ranking_scores` (layers, R).

    Args:
        parts: the Parquet files.

    Raises:
        RunFolderError: a file is damaged, or an image stands twice.
    """

    def __init__(self, parts: Sequence[Path]) -> None:
        try:
            self._data = ds.dataset([str(part) for part in parts], format="parquet", filesystem=LocalFileSystem())
            index = self._data.to_table(columns=["index"])["index"].to_numpy()
        except (pa.ArrowInvalid, OSError) as error:
            raise RunFolderError(f"{parts[0].parent} holds a damaged part: {error}") from error
        values, counts = np.unique(index, return_counts=True)
        if (counts > 1).any():
            raise RunFolderError(f"{parts[0].parent} holds images {listed(values[counts > 1].tolist())} more than once")
        self._order = pa.array(index.argsort(kind="stable"))

    def __len__(self) -> int:
        return len(self._order)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self._data.schema.names)

    def __getitem__(self, column: str) -> Tensor | list[str]:
        """A column: a tensor (images, …), or for `file` and `method` a list of strings."""
        array = self.to_arrow([column])[column].combine_chunks()
        if pa.types.is_string(array.type):
            return [str(value) for value in array.to_pylist()]
        if column == "label":
            array = array.fill_null(-1)
        values = torch.from_numpy(np.array(_to_numpy(array)))
        return values.long() if values.dtype == torch.int32 else values

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All columns, or some of them.

        Raises:
            ArgumentError: there is no such column.
        """
        unknown = [column for column in columns or () if column not in self.columns]
        if unknown:
            raise ArgumentError(f"a column must be one of {listed(self.columns, 20)}, got {listed(unknown)}")
        return self._data.to_table(columns=columns).combine_chunks().take(self._order)

    def to_pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All columns, or some of them; tensors as one NumPy array a row."""
        import pandas as pd

        table = self.to_arrow(columns)
        return pd.DataFrame({name: _series(table[name].combine_chunks()) for name in table.column_names})

    def batches(self, columns: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """Numeric columns a few thousand images at a time, in no particular order, never all in memory."""
        for batch in self._data.to_batches(columns=columns, batch_size=4096):
            if batch.num_rows:
                yield {name: torch.from_numpy(np.array(_to_numpy(batch[name]))) for name in columns}


def part_files(run: RunFolder) -> list[Path]:
    """The whole parts of a run, without what a killed run left half written."""
    return sorted(run.parts.glob("part-*.parquet")) if run.parts.is_dir() else []


def read_paths(directory: str | Path) -> PathTable:
    """Read the stored image paths of a run.

    Args:
        directory: the run folder.

    Raises:
        RunFolderError: no run is there, or a part of it is damaged.
    """
    run = RunFolder(directory)
    parts = part_files(run)
    if not parts:
        raise RunFolderError(
            f"`directory` must be a run folder with a {run.parts.name}/ folder of parts, got {directory}"
        )
    return PathTable(parts)


def _to_numpy(array: Any) -> np.ndarray[Any, Any]:
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if isinstance(array, pa.FixedShapeTensorArray):
        return np.asarray(array.to_numpy_ndarray())
    return np.asarray(array.to_numpy(zero_copy_only=False))


def _series(array: Any) -> Any:
    return list(_to_numpy(array)) if isinstance(array, pa.FixedShapeTensorArray) else array.to_pandas()
