from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from nplight.errors import RunFolderError
from nplight.store import (
    RunFolder,
    compact,
    compaction,
    finish_compaction,
    part_files,
    read_paths,
    sorted_parts,
    stored_images,
)
from nplight.store.part_listing import COMPACTED, REPLACED
from nplight.store.parts import open_part
from tests.store.samples import contents, rows_of, write_rows

ORDERS = [
    [range(0, 20, 2), range(1, 20, 2)],  # two processes
    [range(0, 7), range(7, 20)],
    [range(start, start + 1) for start in range(20)],
    [range(12, 20), range(0, 12)],
]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_parts, "MOST_PARTS", 1)
    monkeypatch.setattr(sorted_parts, "MOST_ROWS", 8)


@pytest.mark.parametrize("parts", ORDERS)
def test_the_files_depend_on_the_rows_alone(tmp_path: Path, parts: Sequence[Sequence[int]]) -> None:
    first, second = RunFolder(tmp_path / "first"), RunFolder(tmp_path / "second")
    for run, cut in ((first, [range(10), range(10, 20)]), (second, parts)):
        for index in cut:
            write_rows(run, index)
        before = rows_of(run)
        compact(run, "jas")
        assert rows_of(run).equals(before)
    assert contents(first.path) == contents(second.path)
    assert [open_part(path, check_data=True).rows for path in part_files(first)] == [8, 8, 4]


def test_a_second_compaction_changes_nothing_and_a_later_part_is_taken_in(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write_rows(run, range(0, 10))
    write_rows(run, range(10, 20))
    compact(run, "jas")
    before = {path: path.stat().st_ino for path in run.parts.iterdir()}
    compact(run, "jas")
    assert {path: path.stat().st_ino for path in run.parts.iterdir()} == before
    write_rows(run, range(20, 30))
    compact(run, "jas")
    assert [open_part(path).rows for path in part_files(run)] == [8, 8, 8, 6]
    assert read_paths(run.path)["index"].tolist() == list(range(30))


def test_searches_are_compacted_each_by_itself(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for index in (range(0, 4), range(4, 8)):
        write_rows(run, index)
        write_rows(run, index, search="random")
    compact(run, "jas")
    assert (len(part_files(run, "jas")), len(part_files(run, "random"))) == (1, 2)


def test_a_few_parts_stay_as_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_parts, "MOST_PARTS", 3)
    run = RunFolder(tmp_path)
    for index in (range(0, 3), range(3, 6), range(6, 9)):
        write_rows(run, index)
    before = contents(run.path)
    compact(run, "jas")
    assert contents(run.path) == before
    write_rows(run, range(9, 12))
    compact(run, "jas")
    assert [open_part(path).rows for path in part_files(run)] == [4, 4, 4]


def test_a_damaged_part_that_is_mended_leaves_the_files_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorted_parts, "MOST_PARTS", 8)
    run = RunFolder(tmp_path)
    for image in range(20):
        write_rows(run, [image])
    compact(run, "jas")
    before, damaged = contents(run.path), part_files(run)[2]
    assert len(part_files(run)) == 5
    damaged.write_bytes(damaged.read_bytes()[:-100])
    stored = stored_images(run, "jas")
    assert stored.index.tolist() == [*range(8), *range(12, 20)]
    write_rows(run, range(8, 12))
    compact(run, "jas")
    stored.damaged[0].unlink()
    assert contents(run.path) == before


@pytest.mark.parametrize("rows", [1, 129, 1_000, 60_000, 600_000])
def test_a_compacted_part_holds_a_64th_of_the_rows_at_most(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.undo()
    block = sorted_parts.block_rows(pa.schema([("index", pa.int64())]), rows)
    assert block <= max(1, rows / 64)
    assert -(-rows // block) <= 128 or block == sorted_parts.MOST_ROWS


class _KilledError(BaseException):
    pass


def test_a_process_killed_at_any_step_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = RunFolder(tmp_path / "begun")
    for index in ORDERS[0]:
        write_rows(begun, index)
    expected = rows_of(begun)
    reference = RunFolder(tmp_path / "reference")
    shutil.copytree(begun.path, reference.path)
    compact(reference, "jas")

    originals = {name: getattr(os, name) for name in ("rename", "replace", "unlink", "rmdir")}
    steps = 0

    def counted(name: str):  # type: ignore[no-untyped-def]
        def act(*args: object, **kwargs: object) -> object:
            nonlocal steps
            if steps == 0:
                raise _KilledError
            steps -= 1
            return originals[name](*args, **kwargs)

        return act

    survived, number = False, 0
    while not survived:
        run = RunFolder(tmp_path / f"killed-{number}")
        shutil.copytree(begun.path, run.path)
        steps = number
        with monkeypatch.context() as patches:
            for name in originals:
                patches.setattr(os, name, counted(name))
            try:
                compact(run, "jas")
                survived = True
            except _KilledError:
                pass
        assert rows_of(run).equals(expected), number
        finish_compaction(run)
        assert rows_of(run).equals(expected), number
        compact(run, "jas")
        assert contents(run.path) == contents(reference.path), number
        number += 1
    assert number > 10


def test_an_image_stored_twice_is_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write_rows(run, range(0, 4))
    write_rows(run, range(3, 6))
    with pytest.raises(RunFolderError, match="holds images 3 more than once"):
        compact(run, "jas")


def test_a_damaged_part_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for index in ORDERS[0]:
        write_rows(run, index)
    cut = part_files(run)[1]
    cut.write_bytes(cut.read_bytes()[:-200])
    before = contents(run.path)
    with pytest.raises(RunFolderError, match=f"{cut.name} is damaged"):
        compact(run, "jas")
    assert contents(run.path) == before


def test_a_damaged_list_is_refused_by_name(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write_rows(run, range(4))
    folder = run.parts / f"{COMPACTED}jas"
    folder.mkdir()
    for text in ("{", "[]", '{"new": ["../x"], "old": []}'):
        (folder / REPLACED).write_text(text)
        with pytest.raises(RunFolderError, match=f"{REPLACED} is damaged"):
            part_files(run)
        with pytest.raises(RunFolderError, match=f"{REPLACED} is damaged"):
            compaction.finish_compaction(run)


def test_rows_in_no_order_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_parts, "_MOST_READS", 2)
    run = RunFolder(tmp_path)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0)).tolist()
    for start in range(0, 64, 8):
        write_rows(run, order[start : start + 8])
    before = contents(run.path)
    compact(run, "jas")
    assert contents(run.path) == before
