from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader

from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathSanity
from nplight.errors import ArgumentError
from nplight.vit import fingerprint
from tests.callbacks.foreign_project import Foreign, contents, make_trainer
from tests.conftest import Reference


def test_the_checks_are_written_printed_and_not_repeated(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> PathSanity:
        search = NeuronPathSearch(run_dir=tmp_path, method="activation")
        sanity, evaluation = (
            PathSanity(run_dir=tmp_path, images=6),
            PathEvaluation(run_dir=tmp_path, fractions=(1.0,), replicates=5),
        )
        make_trainer(search, sanity, evaluation).validate(Foreign(reference.model), loaders, verbose=False)
        return sanity

    before = fingerprint(reference.model)
    sanity = run()
    assert fingerprint(reference.model) == before
    assert sanity.result == json.loads((tmp_path / "sanity.json").read_text())
    shown = capsys.readouterr().out
    assert "Sanity checks" in shown
    assert "Caveat: the search was given the category" in " ".join(shown.split())
    files = contents(tmp_path)
    assert run().result == sanity.result
    assert contents(tmp_path) == files


def test_an_evaluation_that_replaces_its_results_leaves_the_checks(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    results = []
    for fraction in (0.5, 1.0):
        callbacks = [
            NeuronPathSearch(run_dir=tmp_path, method="activation"),
            PathSanity(run_dir=tmp_path, images=6),
            PathEvaluation(run_dir=tmp_path, fractions=(fraction,), replicates=0, overwrite=True),
        ]
        make_trainer(*callbacks).validate(Foreign(reference.model), loaders, verbose=False)
        results.append((tmp_path / "sanity.json").read_text())
    assert results[0] == results[1]


def test_bad_arguments_are_refused(loaders: list[DataLoader[Any]], reference: Reference) -> None:
    for name, least in (("images", 1), ("seed", 0)):
        with pytest.raises(ArgumentError, match=f"`{name}` must be an integer of at least {least}"):
            PathSanity(**{name: least - 1})
    with pytest.raises(ArgumentError, match="PathSanity needs a NeuronPathSearch"):
        make_trainer(PathSanity()).validate(Foreign(reference.model), loaders, verbose=False)
