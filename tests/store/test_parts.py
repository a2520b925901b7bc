from __future__ import annotations

import json
import os
import re
import struct
import tempfile
from pathlib import Path
from typing import Any
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nplight import read_paths
from nplight.errors import ArgumentError, RunFolderError
from nplight.store import RunFolder, part_files, parts, stored_images, write_part
from nplight.store.part_checksums import checksums_of
from nplight.store.parts import open_part
from tests.store.samples import batch, contents, write


def test_a_part_knows_what_it_holds(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write(run, [9, 3, 6], search="jas@5")
    write(run, [7, 0, 1], labels=False)
    regular, other = (open_part(path, check_data=True) for path in reversed(part_files(run)))
    assert re.fullmatch(r"part-jas@5-0000000003\.[0-9a-f]{16}\.parquet", regular.path.name)
    assert (regular.search, regular.rows, regular.first, regular.index) == ("jas@5", 3, 3, range(3, 12, 3))
    assert (regular.labels, other.labels, other.index) == ((0, 1), None, None)
    assert other.path.name.startswith("part-jas-0000000000.")


def test_any_parquet_reader_reads_a_part(tmp_path: Path) -> None:
    paths = write(RunFolder(tmp_path), [4, 2])
    (path,) = part_files(RunFolder(tmp_path))
    table = pq.read_table(path, page_checksum_verification=True)
    assert table["index"].to_pylist() == [2, 4]
    assert table["neurons"].combine_chunks().to_numpy_ndarray().tolist() == paths.neurons[[1, 0]].tolist()
    assert b'"search": "jas", "rows": 2' in table.schema.metadata[b"nplight"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"search": "../jas"}, r"`search` must be of letters, digits, .*, got '\.\./jas'"),
        ({"search": ""}, r"`search` must be"),
        ({"files": ["a"]}, r"must be of as many images, at least one, got 2, 2, 1, 2, 2"),
        ({"checksums": [1, 2, 3]}, r"must be of as many images"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, r"must be of as many images"),
        ({"index": torch.tensor([3, 3])}, r"`index` must number each image differently, from 0 on, got 3, 3"),
        ({"index": torch.tensor([-1, 3])}, r"`index` must number each image differently, from 0 on, got -1, 3"),
    ],
)
def test_what_cannot_be_a_part_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    arguments = {"index": torch.tensor([1, 2]), "files": "ab", "labels": None, "checksums": [1, 2], "search": "jas"}
    with pytest.raises(ArgumentError, match=message):
        write_part(RunFolder(tmp_path), batch(2), **{**arguments, **changes})  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"at least one, got 0, 0"):
        write_part(
            RunFolder(tmp_path), batch(0), index=torch.arange(0), files=[], labels=None, checksums=[], search="jas"
        )
    assert contents(tmp_path) == {}


def test_a_part_that_is_there_stays(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write(run, [3, 4])
    before = contents(tmp_path)
    with pytest.raises(RunFolderError, match=r"is there already: image 3 came twice"):
        write(run, [5, 3], seed=1)
    assert contents(tmp_path) == before
    write(run, [3, 4], search="activation")
    assert len(read_paths(tmp_path)) == 4


def test_file_names_that_are_no_text_are_stored(tmp_path: Path) -> None:
    names = [os.fsdecode(b"\xff.png"), "ünder\n../../etc.png"]
    write_part(
        RunFolder(tmp_path), batch(2), index=torch.arange(2), files=names, labels=None, checksums=[0, 1], search="jas"
    )
    assert read_paths(tmp_path)["file"] == ["\\udcff.png", names[1]]


def test_only_what_is_named_as_a_part_is_one(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert part_files(run) == []
    write(run, [0])
    for name in (
        ".part-jas-0000000002.parquet.0123abcd.tmp",
        "part-jas-0000000000 (copy).parquet",
        "part-0000000000.parquet",
        "part-jas-0000000000.0123abcd.parquet",
        "part-jas-0000000000.parquet\n",
        "damaged-1-part-jas-0000000009.parquet",
        os.fsdecode(b"part-\xff-0000000000.parquet"),
    ):
        (run.parts / name).write_bytes(b"none of ours")
    assert [path.name.partition(".")[0] for path in part_files(run)] == ["part-jas-0000000000"]
    assert part_files(run, "activation") == []
    assert len(read_paths(tmp_path)) == 1


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(b""), "it is cut short or no Parquet file"),
        (lambda path: path.write_bytes(b"PAR1" * 3), "it is cut short or no Parquet file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "it is cut short or no Parquet file"),
        (lambda path: path.write_bytes(b"x" + path.read_bytes()[1:]), None),
        (lambda path: path.rename(path.with_name(path.name.replace("0000", "7777"))), "it holds 2 rows of part-jas"),
        (lambda path: path.rename(path.with_name(path.name.replace("jas", "it"))), "it holds 2 rows of part-jas"),
        (lambda path: path.rename(path.with_name("part-jas-0000000000.parquet")), "its checksums are missing"),
        (lambda path: path.rename(path.with_name(f"part-jas-0000000000.{'0' * 16}.parquet")), "its footer is not"),
        (lambda path: (path.unlink(), path.mkdir()), "it is a link or no file at all"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "it is a link or no file at all"),
        (lambda path: (path.rename(path.parent / "x"), path.symlink_to(path.parent / "x")), "it is a link"),
    ],
)  # fmt: skip
def test_damage_is_named_with_the_way_out(tmp_path: Path, damage: Any, reason: str | None) -> None:
    run = RunFolder(tmp_path)
    write(run, [0, 1])
    damage(part_files(run)[0])
    (path,) = part_files(run)
    why = reason or "its data is not what was written"
    message = rf"{path.name} is damaged: {why}.*; a run in this folder with '(jas|it)' among its searches sets it aside"
    with pytest.raises(RunFolderError, match=message):
        open_part(path, check_data=True)
    if reason:
        with pytest.raises(RunFolderError, match=message):
            read_paths(tmp_path)
    else:
        assert len(read_paths(tmp_path)) == 2


def test_parts_of_another_version_or_of_nobody_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(tmp_path)
    monkeypatch.setattr(parts, "SCHEMA_VERSION", 9)
    write(run, [0, 1])
    monkeypatch.undo()
    with pytest.raises(RunFolderError, match=r"is damaged: it is of version 9, and this nplight reads 2"):
        read_paths(tmp_path)
    (path,) = part_files(run)
    path.unlink()
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"index": [0, 1]}), sink)
    parquet = sink.getvalue().to_pybytes()
    (run.parts / f"part-jas-0000000000.{checksums_of(parquet)}.parquet").write_bytes(parquet)
    with pytest.raises(RunFolderError, match=r"part-jas-0000000000\.\w+\.parquet is damaged"):
        read_paths(tmp_path)


def test_a_part_that_cannot_be_read_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(tmp_path)
    write(run, [0, 1])

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    for work in (lambda: read_paths(tmp_path), lambda: stored_images(run, "jas")):
        with pytest.raises(RunFolderError, match=r"parquet cannot be read: Permission denied; make it readable"):
            work()
    assert len(part_files(run)) == 1


def without_effect(path: Path) -> Path:
    """A part as nplight wrote it before it stored the effect."""
    table = pq.read_table(path)
    sink = pa.BufferOutputStream()
    pq.write_table(table.drop_columns(["effect"]), sink, compression="zstd", write_page_checksum=True)
    parquet = sink.getvalue().to_pybytes()
    path.unlink()
    path = path.with_name(f"{path.name.partition('.')[0]}.{checksums_of(parquet)}.parquet")
    path.write_bytes(parquet)
    return path


def older(path: Path) -> Path:
    """A part as nplight wrote it before its checksums were in its name: a column `method`, and 12 bytes in the file."""
    table = pq.read_table(path).drop_columns(["effect"])
    about = json.loads(table.schema.metadata[b"nplight"])
    about = {"version": 1, "method": about.pop("search"), **{name: about[name] for name in about if name != "version"}}
    named = [name.replace("search", "method") for name in table.column_names]
    sink = pa.BufferOutputStream()
    content = table.rename_columns(named).replace_schema_metadata({b"nplight": json.dumps(about).encode()})
    pq.write_table(content, sink, compression="zstd", write_page_checksum=True)
    parquet = sink.getvalue().to_pybytes()
    cut = len(parquet) - 8 - int.from_bytes(parquet[-8:-4], "little")
    data, footer = parquet[:cut], parquet[cut:]
    path.unlink()
    path = path.with_name(f"{path.name.partition('.')[0]}.parquet")
    path.write_bytes(data + struct.pack("<4sII", b"NPL1", crc32(data), crc32(footer)) + footer)
    return path


def test_a_part_of_an_older_run_is_read_beside_newer_ones(tmp_path: Path) -> None:
    old, new = RunFolder(tmp_path / "old"), RunFolder(tmp_path / "new")
    for run in (old, new):
        write(run, [3, 8, 1])
        write(run, [2, 4], seed=1)
    older(part_files(old)[0])
    assert len(part_files(old)) == 2
    found, wanted = read_paths(old.path), read_paths(new.path)
    assert found.columns == wanted.columns
    assert found.to_arrow().drop_columns("effect") == wanted.to_arrow().drop_columns("effect")
    assert found.where(search="jas", label=1)["search"] == ["jas", "jas"]
    assert torch.equal(stored_images(old, "jas").index, stored_images(new, "jas").index)
    with pytest.raises(RunFolderError, match="is there already: image 1 came twice"):
        write(old, [5, 1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_part_without_the_effect_is_read_beside_newer_ones(tmp_path: Path, dtype: torch.dtype) -> None:
    run = RunFolder(tmp_path)
    write(run, [3, 8, 1], dtype=dtype)
    whole = read_paths(tmp_path)
    without_effect(part_files(run)[0])
    alone = read_paths(tmp_path)
    assert alone.columns == whole.columns
    assert torch.as_tensor(alone["effect"]).isnan().all()
    newer = write(run, [2, 4], seed=1, dtype=dtype)
    table = read_paths(tmp_path)
    # In order of the index: 1, 2, 3, 4, 8.
    expected = torch.full((5,), torch.nan, dtype=dtype)
    expected[[1, 3]] = newer.effect
    torch.testing.assert_close(table["effect"], expected, rtol=0, atol=0, equal_nan=True)
    assert table.to_arrow(["effect"])["effect"].null_count == 3
    assert table.to_pandas(["effect"])["effect"].isna().tolist() == expected.isnan().tolist()
    assert len(table.where(label=0)["effect"]) == 3
    streamed = torch.cat([rows["effect"] for rows in table.batches(["index", "effect"])])
    assert streamed.isnan().tolist() == [True, True, True, False, False]
    assert torch.equal(stored_images(run, "jas").index, torch.tensor([1, 2, 3, 4, 8]))


def _sample(*, old: bool) -> tuple[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        write(RunFolder(folder), [3, 8, 1, 9])
        (path,) = part_files(RunFolder(folder))
        path = older(path) if old else path
        return path.name, path.read_bytes()


SAMPLES = [_sample(old=old) for old in (False, True)]
LENGTH = min(len(content) for _, content in SAMPLES)
flips = st.lists(st.tuples(st.integers(0, LENGTH - 1), st.integers(1, 255)), min_size=1, max_size=4)
cuts = st.integers(0, LENGTH - 1)
splices = st.tuples(st.integers(0, LENGTH), st.integers(0, LENGTH), st.binary(max_size=40))


def _broken(sample: bytes, change: Any) -> bytes:
    if isinstance(change, int):
        return sample[:change]
    if isinstance(change, tuple):
        start, end, middle = change
        return sample[:start] + middle + sample[end:]
    content = bytearray(sample)
    for place, value in change:
        # From the end for even ones, so that both the start and the footer of either sample are hit.
        content[place if place % 2 else -1 - place] ^= value
    return bytes(content)


def _read(run: RunFolder) -> pa.Table | str:
    try:
        return read_paths(run.path).to_arrow()
    except RunFolderError as error:
        return str(error).partition(":")[0]


@settings(max_examples=400, deadline=None)
@given(sample=st.sampled_from(SAMPLES), change=st.one_of(flips, cuts, splices))
def test_no_damage_crashes_a_reader_or_changes_what_it_reads(sample: tuple[str, bytes], change: Any) -> None:
    name, whole = sample
    content = _broken(whole, change)
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(folder)
        run.parts.mkdir()
        path = run.parts / name
        path.write_bytes(whole)
        wanted = read_paths(folder).to_arrow()
        path.write_bytes(content)
        assert _read(run) in (wanted, f"{path} is damaged")
        stored = stored_images(run, "jas")
        assert len(stored) == (4 if content == whole else 0)
        assert len(stored.damaged) == (content != whole)
        assert [aside.read_bytes() for aside in stored.damaged] == [content] * len(stored.damaged)
