from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

import nplight
from nplight.callbacks import NeuronPathSearch, PathSelectivity
from nplight.errors import ArgumentError, RunFolderError
from tests.callbacks.foreign_project import OPTIONS, Foreign, contents, make_trainer
from tests.callbacks.small_runs import DISCOVER, HELD_OUT, loader, swapped
from tests.conftest import Reference, make_vit


def test_selectivity_tests_every_category_under_every_path(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = NeuronPathSearch(run_dir=tmp_path, **OPTIONS)
    selectivity = PathSelectivity(run_dir=tmp_path, kept=4, replicates=50)
    make_trainer(search, selectivity).validate(Foreign(reference.model), loaders, verbose=False)
    held_out = torch.tensor(loaders[1].dataset.indices)
    images, labels = reference.images[held_out], reference.labels[held_out]
    content = json.loads((tmp_path / "selectivity.json").read_text())
    reference.model.eval()
    for category in (0, 7):
        neurons = search.category_paths["jas"][4].neurons[category]
        with torch.no_grad(), nplight.intervene(reference.model, neurons, "keep"):
            right = (reference.model(images).argmax(1) == labels).double()
        expected = [right[labels == label].mean().item() for label in range(10)]
        assert [row[category] for row in content["accuracy"]] == pytest.approx(expected)
    assert content["images"] == [4] * 10
    assert f"{content['own']['value']:.1%}".rstrip("%") in capsys.readouterr().out


def test_selectivity_of_other_held_out_images_is_refused(tmp_path: Path) -> None:
    def run(held_out: tuple[Tensor, ...]) -> None:
        search = NeuronPathSearch(run_dir=tmp_path, method="activation", kept=(2,))
        selectivity = PathSelectivity(run_dir=tmp_path, replicates=5)
        loaders = [loader(DISCOVER), loader(held_out)]
        make_trainer(search, selectivity).validate(Foreign(make_vit(num_classes=4)), loaders, verbose=False)

    run(HELD_OUT)
    before = contents(tmp_path)
    run(HELD_OUT)
    assert contents(tmp_path) == before
    with pytest.raises(RunFolderError, match="held_out_images: 4, digest"):
        run(swapped(HELD_OUT))
    assert contents(tmp_path) == before


def test_what_cannot_be_tested_is_refused_before_work(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    module = Foreign(reference.model)
    search = NeuronPathSearch(run_dir=tmp_path, **OPTIONS)
    cases = [
        ([search, PathSelectivity(search="other")], "`search` must be one of jas, got 'other'"),
        ([search, PathSelectivity(kept=3)], "`kept` must be a size that NeuronPathSearch forms"),
        ([PathSelectivity()], "PathSelectivity needs a NeuronPathSearch"),
    ]
    for callbacks, reason in cases:
        with pytest.raises(ArgumentError, match=reason):
            make_trainer(*callbacks).validate(module, loaders, verbose=False)
    with pytest.raises(ArgumentError, match="needs two validation loaders"):
        make_trainer(search, PathSelectivity()).validate(module, loaders[0], verbose=False)


@pytest.mark.parametrize(("name", "least"), [("kept", 1), ("replicates", 0)])
def test_wrong_bounds_are_refused_when_the_callback_is_made(name: str, least: int) -> None:
    with pytest.raises(ArgumentError, match=f"`{name}` must be an integer of at least {least}, got {least - 1}"):
        PathSelectivity(**{name: least - 1})
