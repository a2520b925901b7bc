from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nplight import PathBatch
from nplight.errors import ArgumentError
from tests.path_samples import searched_paths
from tests.searching.test_search import assert_same


@pytest.fixture(scope="module")
def paths() -> PathBatch:
    return searched_paths()


def test_saved_paths_are_loaded_as_they_were(paths: PathBatch, tmp_path: Path) -> None:
    file = tmp_path / "paths.safetensors"
    for saved in (paths[:0], paths, paths[1:3]):  # each takes the place of the one before
        saved.save(file)
        loaded = PathBatch.load(str(file))
        assert_same(loaded, saved)
        assert [loaded.scores.dtype, loaded.neurons.dtype] == [torch.float64, torch.int64]
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_shared_and_half_precision_tensors_are_saved(paths: PathBatch, tmp_path: Path) -> None:
    values = {name: getattr(paths, name) for name in PathBatch.__slots__}
    shared = PathBatch(**{**values, "neurons": paths.ranking[..., :2], "probability": paths.probability.bfloat16()})
    shared.save(tmp_path / "x")
    assert torch.equal(PathBatch.load(tmp_path / "x").probability, shared.probability)
    assert torch.equal(PathBatch.load(tmp_path / "x").neurons, paths.neurons)


def test_any_damage_to_a_file_is_refused_in_one_line(paths: PathBatch, tmp_path: Path) -> None:
    file = tmp_path / "paths"
    paths[:1].save(file)
    whole = file.read_bytes()
    generator = torch.Generator().manual_seed(0)
    places = [*range(0, 300, 7), *torch.randint(len(whole), (40,), generator=generator).tolist()]
    # In the header a space more or less is no damage: what counts is what is read.
    changed = [whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :] for place in places]
    for damaged in (*changed, whole[:-1], whole[:9], b"", whole + b"x"):
        file.write_bytes(damaged)
        with pytest.raises(ArgumentError) as caught:
            PathBatch.load(file)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith("`path` must be ")


def test_a_foreign_file_is_refused(paths: PathBatch, tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "foreign")
    with pytest.raises(ArgumentError, match=r"foreign was not written by PathBatch\.save"):
        PathBatch.load(tmp_path / "foreign")
    with pytest.raises(ArgumentError, match="there is no file"):
        PathBatch.load(tmp_path)
    for path in (None, 3, ""):
        for call in (PathBatch.load, paths.save):
            with pytest.raises(ArgumentError, match="`path` must be the path of a file, got"):
                call(path)  # type: ignore[arg-type]


def test_a_file_that_cannot_be_written_leaves_nothing(paths: PathBatch, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "none" / "x", "a\0b"):
        with pytest.raises(ArgumentError, match="`path` must be a file that can be written, but for"):
            paths.save(path)
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]
