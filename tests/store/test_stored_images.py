from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nplight.errors import RunFolderError
from nplight.store import RunFolder, StoredImages, part_files, read_paths, stored_images
from tests.store.samples import contents, write


def test_what_is_stored_is_known_by_search(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write(run, [9, 4])
    write(run, [0, 5, 7])
    write(run, [1, 2], search="random")
    before = contents(tmp_path)
    found = stored_images(run, "jas")
    assert found.index.tolist() == [0, 4, 5, 7, 9]
    assert found.checksums.tolist() == [7, 11, 12, 14, 16]
    assert found.checksums_of(torch.tensor([7, 1, 100, 0])).tolist() == [14, -1, -1, 7]
    assert len(found) == 5
    assert stored_images(run, "random").index.tolist() == [1, 2]
    nothing = stored_images(run, "activation")
    assert len(nothing) == 0
    assert nothing.checksums_of(torch.tensor([0, 1])).tolist() == [-1, -1]
    assert contents(tmp_path) == before


@settings(deadline=None)
@given(stored=st.dictionaries(st.integers(0, 60), st.integers(0, 2**32 - 1)), wanted=st.lists(st.integers(0, 70)))
def test_a_lookup_says_what_a_dictionary_says(stored: dict[int, int], wanted: list[int]) -> None:
    index = torch.tensor(sorted(stored), dtype=torch.int64)
    checksums = torch.tensor([stored[number] for number in sorted(stored)], dtype=torch.int64)
    found = StoredImages(index, checksums).checksums_of(torch.tensor(wanted, dtype=torch.int64))
    assert found.tolist() == [stored.get(number, -1) for number in wanted]


def test_all_of_imagenet_fits_in_a_message() -> None:
    count = 1_300_000
    images = StoredImages(torch.arange(count), torch.arange(count))
    assert len(pickle.dumps(images)) < 25_000_000


def test_damaged_parts_are_set_aside_and_only_their_images_are_missing(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for index in ([0, 1], [2, 3], [4, 5], [6, 7]):
        write(run, index)
    write(run, [0, 1], search="random")
    whole = contents(tmp_path)
    cut, garbage, link, _ = part_files(run, "jas")
    cut.write_bytes(cut.read_bytes()[:-30])
    content = garbage.read_bytes()
    garbage.write_bytes(content[:200] + b"\0" * 20 + content[220:])
    link.rename(tmp_path / "elsewhere")
    link.symlink_to(tmp_path / "elsewhere")
    other = part_files(run, "random")[0]
    other.write_bytes(b"")
    found = stored_images(run, "jas")
    assert found.index.tolist() == [6, 7]
    assert [path.name for path in found.damaged] == [f"damaged-1-{path.name}" for path in (cut, garbage, link)]
    assert all(path.is_symlink() or path.exists() for path in found.damaged)
    assert (tmp_path / "elsewhere").read_bytes() == whole[f"paths/{link.name}"]
    assert other.exists()
    for index in ([0, 1], [2, 3], [4, 5]):
        write(run, index)
    cut.write_bytes(b"again")
    assert [path.name for path in stored_images(run, "jas").damaged] == [f"damaged-2-{cut.name}"]
    other.unlink()
    assert read_paths(tmp_path)["index"].tolist() == [2, 3, 4, 5, 6, 7]


def test_images_that_stand_twice_are_refused_and_nothing_is_moved(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write(run, [0, 1, 2])
    write(run, [1, 5])
    before = contents(tmp_path)
    with pytest.raises(RunFolderError, match=r"images 1 more than once, image 1 in part-jas-0000000000\.\w+\.parquet"):
        stored_images(run, "jas")
    assert contents(tmp_path) == before


def test_a_part_that_cannot_be_set_aside_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(tmp_path)
    write(run, [0, 1])
    part_files(run)[0].write_bytes(b"")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(RunFolderError, match=r"damaged-1-part-jas-0000000000\.\w+\.parquet cannot be written: Perm"):
        stored_images(run, "jas")


def test_parts_of_another_run_are_set_aside_and_not_read(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for search in ("jas", "random"):
        write(run, [0, 1], search=search, fingerprint="this")
    write(run, [2, 3], fingerprint="another")
    with pytest.raises(
        RunFolderError, match=r"part-jas-0000000002\.\w+\.parquet is of another run .*; a run in this folder"
    ):
        read_paths(tmp_path)
    found = stored_images(run, "jas", "this")
    assert found.index.tolist() == [0, 1]
    assert [path.name.partition(".")[0] for path in found.foreign] == ["foreign-1-part-jas-0000000002"]
    assert found.damaged == ()
    assert len(read_paths(tmp_path)) == 4


def test_older_parts_do_not_say_whose_they_are_and_can_be_read(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as run:
        for section in ("search", "search jas"):
            run.claim(section, {})
    write(run, [0, 1])
    assert len(read_paths(tmp_path)) == 2
    own = run.search_fingerprint("jas")
    assert own == run.search_fingerprint("jas@5")
    write(run, [2, 3], fingerprint=own)
    with pytest.raises(RunFolderError, match=r"part-jas-0000000000\.\w+\.parquet is of another run"):
        read_paths(tmp_path)
    # What nobody knows the run of is not counted as of this one.
    assert stored_images(run, "jas", own).index.tolist() == [2, 3]
    assert run.search_fingerprint("random") is None
