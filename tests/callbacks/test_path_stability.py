from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader

from nplight.callbacks import NeuronPathSearch, PathStability
from nplight.errors import ArgumentError
from tests.callbacks.digits_project import FewDigits, model
from tests.callbacks.foreign_project import OPTIONS, Foreign, contents, make_trainer
from tests.conftest import Reference

FEW: dict[str, Any] = {"perturbations": ["brightness"], "images": 6}


def test_a_foreign_project_gives_the_normalisation(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = NeuronPathSearch(run_dir=tmp_path, **OPTIONS)
    stability = PathStability(run_dir=tmp_path, mean=[0.5] * 3, std=[0.5] * 3, **FEW)
    make_trainer(stability, search).validate(Foreign(reference.model), loaders, verbose=False)
    assert stability.result == json.loads((tmp_path / "stability.json").read_text())
    assert stability.result["images"] == 6
    assert "Share of a path (%) that survives" in " ".join(capsys.readouterr().out.split())
    before = contents(tmp_path)
    make_trainer(search, stability).validate(Foreign(reference.model), loaders, verbose=False)
    assert contents(tmp_path) == before


def test_a_data_module_knows_it(tmp_path: Path) -> None:
    callbacks = [NeuronPathSearch(run_dir=tmp_path, method="activation"), PathStability(run_dir=tmp_path, **FEW)]
    make_trainer(*callbacks).validate(model(10), FewDigits(), verbose=False)
    assert json.loads((tmp_path / "stability.json").read_text())["settings"]["mean"] == [0.5] * 3


def test_what_cannot_be_measured_is_refused_before_work(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    search = NeuronPathSearch(run_dir=tmp_path, **OPTIONS)
    cases = [
        ([search, PathStability(run_dir=tmp_path)], "`mean` and `std` of PathStability must be those"),
        ([PathStability(mean=[0.5], std=[0.5])], "PathStability needs a NeuronPathSearch"),
    ]
    for callbacks, reason in cases:
        with pytest.raises(ArgumentError, match=reason):
            make_trainer(*callbacks).validate(Foreign(reference.model), loaders, verbose=False)
    assert not tmp_path.joinpath("paths").exists()
    with pytest.raises(ArgumentError, match="`mean` and `std` must be given together"):
        PathStability(mean=[0.5])
    with pytest.raises(ArgumentError, match="`perturbations` must be one of"):
        PathStability(perturbations=["fog"])
    with pytest.raises(ArgumentError, match="`images` must be an integer of at least 1"):
        PathStability(images=0)
