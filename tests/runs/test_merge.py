from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from nplight.data import ImageDigest
from nplight.errors import RunFolderError
from nplight.runs import merge_shards
from nplight.store import RunFolder, compact, part_files, read_paths, sorted_parts
from tests.store.samples import contents, write_rows

IMAGES = 20
SETTINGS = {"command": "validate", "top_k": 1}


@pytest.fixture(autouse=True, params=[2, sorted_parts.MOST_PARTS])
def _most_parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the smaller number runs are compacted, and with the larger one not."""
    monkeypatch.setattr(sorted_parts, "MOST_PARTS", request.param)


def make_run(path: Path, index: range, shard: str | None = None, **settings: Any) -> RunFolder:
    run = RunFolder(path)
    with run:
        run.claim("search", {**SETTINGS, **settings, **({} if shard is None else {"shard": shard})})
        run.claim("search jas", {"steps": 20})
        for start in range(index.start, index.stop, 3):
            part = range(start, min(start + 3, index.stop))
            write_rows(run, part, fingerprint=run.search_fingerprint("jas"))
        compact(run, "jas")
        if shard is not None:
            numbers, digest = torch.tensor(list(index)), ImageDigest()
            digest.update(numbers, numbers % 2, numbers + 7)
            run.write_shard(shard, str(digest))
    return run


@pytest.fixture
def shards(tmp_path: Path) -> list[RunFolder]:
    cuts = (range(0, 6), range(6, 12), range(12, IMAGES))
    return [make_run(tmp_path / f"shard-{number}", cut, f"{number}/3") for number, cut in enumerate(cuts)]


def refused(reason: str, runs: list[RunFolder], merged: RunFolder) -> None:
    with pytest.raises(RunFolderError, match=reason):
        merge_shards(runs, merged)
    assert not merged.parts.exists()


def test_merged_shards_are_the_files_of_one_run(tmp_path: Path, shards: list[RunFolder]) -> None:
    whole, merged = make_run(tmp_path / "whole", range(IMAGES)), RunFolder(tmp_path / "merged")
    before = [contents(shard.path) for shard in shards]
    merge_shards([shards[2], shards[0], shards[1]], merged)
    assert contents(merged.path) == contents(whole.path)
    assert [contents(shard.path) for shard in shards] == before
    inodes = {path: path.stat().st_ino for path in part_files(merged)}
    merge_shards(shards, merged)
    assert {path: path.stat().st_ino for path in part_files(merged)} == inodes


def test_a_merge_that_was_cut_off_is_begun_again(tmp_path: Path, shards: list[RunFolder]) -> None:
    merged = RunFolder(tmp_path / "merged")
    merge_shards(shards, merged)
    expected = contents(merged.path)
    part_files(merged)[1].unlink()
    merge_shards(shards, merged)
    assert contents(merged.path) == expected


def test_missing_and_doubled_shards_are_named(tmp_path: Path, shards: list[RunFolder]) -> None:
    merged = RunFolder(tmp_path / "merged")
    refused("shards 1/3 of 3 are missing", [shards[0], shards[2]], merged)
    copy = RunFolder(tmp_path / "copy")
    shutil.copytree(shards[1].path, copy.path)
    refused(r"shard 1/3 is given twice, as .*shard-1 and .*copy", [*shards, copy], merged)
    refused("shard 0/3 is given twice", [*shards, shards[0]], merged)


def test_shards_of_other_runs_are_named(tmp_path: Path, shards: list[RunFolder]) -> None:
    merged = RunFolder(tmp_path / "merged")
    other = make_run(tmp_path / "other", range(6, 12), "1/3", top_k=2)
    refused(
        r"shard 1/3 in .*other has other settings than 0/3 .*top_k: 1 there, 2 here",
        [shards[0], other, shards[2]],
        merged,
    )
    halves = make_run(tmp_path / "halves", range(10, 20), "1/2")
    refused("is shard 0/3 and .*halves is shard 1/2", [*shards, halves], merged)
    refused("is not the run folder of a shard", [make_run(tmp_path / "whole", range(IMAGES)), *shards], merged)
    with pytest.raises(RunFolderError, match="must be another folder than the shards'"):
        merge_shards(shards, RunFolder(shards[0].path / ".." / "shard-0"))


def test_a_shard_that_has_not_ended_is_named(tmp_path: Path, shards: list[RunFolder]) -> None:
    (shards[1].path / "shard.json").unlink()
    refused(r"shard 1/3 in .*shard-1 has not ended", shards, RunFolder(tmp_path / "merged"))


def test_a_part_that_is_cut_or_gone_is_named(tmp_path: Path, shards: list[RunFolder]) -> None:
    part, merged = part_files(shards[1])[0], RunFolder(tmp_path / "merged")
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    refused(f"{part.name} is damaged", shards, merged)
    part.unlink()
    refused(r"shard 1/3 in .*shard-1 holds other images for jas", shards, merged)


def test_an_image_in_two_shards_is_refused(tmp_path: Path, shards: list[RunFolder]) -> None:
    other = make_run(tmp_path / "other", range(5, 12), "1/3")
    with pytest.raises(RunFolderError, match="holds images 5 more than once"):
        merge_shards([shards[0], other, shards[2]], RunFolder(tmp_path / "merged"))


def test_a_folder_of_another_run_is_refused_and_replaced_on_demand(tmp_path: Path, shards: list[RunFolder]) -> None:
    merged = make_run(tmp_path / "merged", range(4), top_k=5)
    before = contents(merged.path)
    with pytest.raises(RunFolderError, match="already holds a run with other settings"):
        merge_shards(shards, merged)
    assert contents(merged.path) == before
    merge_shards(shards, merged, overwrite=True)
    assert read_paths(merged.path)["index"].tolist() == list(range(IMAGES))
