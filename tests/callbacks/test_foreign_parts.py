"""A part of another run among those of this one: set aside, its images searched again, and never counted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import nplight
from nplight.callbacks import NeuronPathSearch
from nplight.errors import RunFolderError
from tests.callbacks.foreign_project import Foreign, contents, make_trainer
from tests.callbacks.small_runs import JOINT, images
from tests.conftest import make_vit


def validate(
    run: Path, *, seed: int = 0, weight: float = 0.0, methods: tuple[Any, ...] = ("jas",), steps: int = 2
) -> None:
    model = make_vit(num_classes=4)
    with torch.no_grad():
        model.head.weight[0] += weight
    pixels, labels, index = images(8, seed)
    loader = DataLoader(TensorDataset(pixels, labels, index % 100), batch_size=4)
    search = NeuronPathSearch(run_dir=run, methods=list(methods), steps=steps, kept=(2,))
    make_trainer(search).validate(Foreign(model), loader, verbose=False)


def another(folder: Path, **other: Any) -> Path:
    """A run, one of another's parts copied over one of its own."""
    validate(folder / "run", **{name: value for name, value in other.items() if name == "methods"})
    validate(folder / "other", **other)
    for path in (folder / "other" / "paths").glob("part-*-0000000004.*"):
        (replaced,) = (folder / "run" / "paths").glob(f"{path.name.partition('.')[0]}.*")
        replaced.unlink()
        shutil.copy(path, replaced.with_name(path.name))
    return folder / "run"


@pytest.mark.parametrize(
    "other", [{"weight": 0.5}, {"steps": 3}, {"seed": 1, "methods": (JOINT,)}], ids=["weights", "search", "data"]
)
def test_a_part_of_another_run_is_set_aside_and_its_images_searched_again(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    methods = other.get("methods", ("jas",))
    validate(tmp_path / "quiet", methods=methods)
    run = another(tmp_path, **other)
    name = "jointly" if JOINT in methods else "jas"
    with pytest.raises(
        RunFolderError, match=rf"0000000004\.\w+\.parquet is of another run .* with '{name}' among its searches"
    ):
        nplight.read_paths(run)
    with pytest.warns(UserWarning, match=rf"parts of another run,.* set aside as foreign-1-part-{name}-0000000004"):
        validate(run, methods=methods)
    files = contents(run)
    (foreign,) = (file for file in files if file.startswith(f"paths/foreign-1-part-{name}-0000000004."))
    assert files.pop(foreign)
    assert files == contents(tmp_path / "quiet")


def test_a_part_of_the_same_run_made_elsewhere_is_one_of_this(tmp_path: Path) -> None:
    run = another(tmp_path)
    before = contents(run)
    validate(run)
    assert contents(run) == before
    validate(run, methods=({"name": "fine", "method": "jas", "steps": 4, "search_per_t": True}, "jas"))
    assert set(nplight.read_paths(run).searches) == {"jas", "fine", "fine@2"}


def test_a_damaged_part_of_a_search_that_is_not_run_is_left_alone(tmp_path: Path) -> None:
    validate(tmp_path, methods=("jas", "activation"))
    (part, _) = sorted((tmp_path / "paths").glob("part-activation-*"))
    part.write_bytes(part.read_bytes()[:-100])
    before = contents(tmp_path)
    del before["category_paths.json"]
    validate(tmp_path, methods=("jas",))
    assert {**contents(tmp_path), **before} == contents(tmp_path)
    reason = rf"{part.name} is damaged: .*; a run in this folder with 'activation' among its searches sets it aside"
    with pytest.raises(RunFolderError, match=reason):
        nplight.read_paths(tmp_path)
    with pytest.warns(UserWarning, match=f"damaged parts .* set aside as damaged-1-{part.name}"):
        validate(tmp_path, methods=("activation",))
    assert set(nplight.read_paths(tmp_path).searches) == {"jas", "activation"}
