"""Made-up paths to store, and troubles with the folder."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import torch

from nplight import CategoryPaths, PathBatch
from nplight.store import RunFolder, read_paths, write_part


def batch(count: int, seed: int = 0, dtype: torch.dtype = torch.float32, ranked: int = 3) -> PathBatch:
    draw = torch.Generator().manual_seed(seed)
    ranking = torch.rand(count, 2, 9, generator=draw).argsort(-1)[..., :ranked]
    scores = torch.rand(count, 2, ranked, generator=draw, dtype=torch.float64).to(dtype)
    return PathBatch(
        neurons=ranking[..., :1],
        neuron_scores=scores[..., :1],
        scores=scores.sum((1, 2)),
        targets=torch.arange(count),
        probability=scores[:, 0, 0],
        predictions=torch.arange(count) + 1,
        ranking=ranking,
        ranking_scores=scores,
        effect=scores[:, 1, 0],
        evaluations=torch.arange(len(scores)) + 60,
        margin=scores[..., 0],
    )


def write(
    run: RunFolder,
    index: Sequence[int],
    *,
    labels: bool = True,
    seed: int = 0,
    search: str = "jas",
    dtype: torch.dtype = torch.float32,
    ranked: int = 3,
    fingerprint: str | None = None,
) -> PathBatch:
    """A part of images with label index mod 2 and checksum index + 7."""
    paths = batch(len(index), seed, dtype, ranked)
    numbers = torch.tensor(index)
    write_part(
        run,
        paths,
        index=numbers,
        files=[f"image {number}" for number in index],
        labels=numbers % 2 if labels else None,
        checksums=[number + 7 for number in index],
        search=search,
        fingerprint=fingerprint,
    )
    return paths


def category_paths(size: int, method: str = "frequency", images: Sequence[int] = (4, 2)) -> CategoryPaths:
    neurons = torch.arange(2 * 3 * size).view(2, 3, size)
    return CategoryPaths(neurons, neurons.double() / 3, torch.tensor(images), method)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder but the lock, by its path."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The kernel itself lets no file grow beyond `size` bytes, as on a full disk."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def refusal(number: int) -> OSError:
    return OSError(number, errno.errorcode[number])


@dataclass(frozen=True, slots=True)
class OtherRun:
    """The process of another run, and one that it started, as a data loader's worker, which outlives it for a while."""

    number: int
    worker: int

    def kill(self) -> None:
        os.kill(self.number, signal.SIGKILL)
        os.waitpid(self.number, 0)


@contextmanager
def occupied(folder: Path) -> Iterator[OtherRun]:
    """Another process's run is in the folder."""
    reading, writing = os.pipe()
    number = os.fork()
    if not number:
        try:
            RunFolder(folder).claim("search", {})
            if worker := os.fork():
                os.write(writing, str(worker).encode())
            signal.pause()
        finally:
            os._exit(1)
    os.close(writing)
    run = OtherRun(number, int(os.read(reading, 20)))
    os.close(reading)
    try:
        yield run
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            run.kill()
        os.kill(run.worker, signal.SIGKILL)


def finished(path: Path) -> RunFolder:
    run = RunFolder(path)
    run.claim("search", {"steps": 20})
    run.claim("search jas", {"rule": "midpoint"})
    write(run, [0, 1])
    write(run, [0, 1], search="activation")
    (run.parts / "damaged-1-part-jas-0000000009.parquet").touch()
    run.write_category_paths({"jas": {1: category_paths(1)}}, 1)
    run.write_skipped([("file", "reason")])
    run.claim("evaluation", {"seed": 0})
    run.write_metrics([{"accuracy": 1.0}], {})
    run.write("comparison.md", "table")
    run.release()
    return run


def finished_with_link(path: Path) -> RunFolder:
    # The claim of an empty folder would refuse the link as a path of an unknown run.
    (path / "settings.json").write_text(json.dumps({"search": {"nplight": version("nplight"), "steps": 20}}))
    return finished(path)


def write_rows(run: RunFolder, index: Sequence[int], *, search: str = "jas", fingerprint: str | None = None) -> None:
    """A part whose rows depend on the index of each image alone."""
    draw = batch(64, ranked=3)
    numbers = torch.tensor(list(index))
    write_part(
        run,
        draw[numbers],
        index=numbers,
        files=[f"image {number}" for number in index],
        labels=numbers % 2,
        checksums=[number + 7 for number in index],
        search=search,
        fingerprint=fingerprint,
    )


def rows_of(run: RunFolder) -> pa.Table:
    """Every row of a run, in order."""
    return read_paths(run.path).to_arrow().combine_chunks()
