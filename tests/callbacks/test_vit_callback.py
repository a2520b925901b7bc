from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch.utils.data import DataLoader

from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathReport, PathSelectivity, WeightsExport
from nplight.errors import ArgumentError, UnsupportedModelError
from tests.callbacks.foreign_project import (
    LIGHTNING_WARNS,
    OPTIONS,
    Foreign,
    Two,
    all_callbacks,
    make_loaders,
    make_trainer,
    results,
    search_and_evaluation,
    validate,
)
from tests.conftest import Reference, read_reference

BOTH = {"student": "backbone.network", "teacher": "teacher"}


@pytest.fixture(scope="module")
def teacher_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of callbacks that were each given the teacher, to be read."""
    folder, reference = tmp_path_factory.mktemp("teacher"), read_reference("class_token")
    validate(Two(reference.model), make_loaders(reference), *all_callbacks(folder, vit="teacher"))
    return folder


@pytest.mark.usefixtures("quick_planes")
@pytest.mark.parametrize("named", [0, 1, 2])
def test_a_vit_named_to_one_callback_is_known_to_all(
    reference: Reference, loaders: list[DataLoader[Any]], teacher_run: Path, tmp_path: Path, named: int
) -> None:
    module = Two(reference.model)
    callbacks = all_callbacks(tmp_path / "one")
    callbacks[named].vit = "teacher"
    validate(module, loaders, *callbacks, PathReport(run_dir=tmp_path / "one", per_category=1, per_neuron=1))
    report = {"run.json", "pictures.json", "report.html"}
    assert {name: text for name, text in results(tmp_path / "one").items() if name not in report} == results(
        teacher_run
    )


def test_of_several_vits_the_one_of_the_same_folder_is_taken(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    module = Two(reference.model)
    searches = [NeuronPathSearch(run_dir=tmp_path / run, vit=vit, **OPTIONS) for run, vit in BOTH.items()]
    tests = [PathEvaluation(run_dir=tmp_path / run, fractions=(1.0,), replicates=5, draws=2) for run in BOTH]
    validate(module, loaders, *searches, *tests)
    for run, vit in BOTH.items():
        validate(module, loaders, *all_callbacks(tmp_path / "alone" / run, vit=vit)[:2])
        assert results(tmp_path / run) == results(tmp_path / "alone" / run)
    lost = NeuronPathSearch(run_dir=tmp_path / "third", **OPTIONS)
    with pytest.raises(ArgumentError, match=r"NeuronPathSearch must be given `vit`, as .* backbone\.network, teacher"):
        validate(module, loaders, *searches, lost)


@LIGHTNING_WARNS
def test_the_callback_that_lacks_a_vit_is_named(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedModelError, match=r"^NeuronPathSearch: Two holds 2 Vision Transformers"):
        validate(Two(reference.model), loaders, *all_callbacks(tmp_path))
    export = WeightsExport(run_dir=tmp_path)
    with pytest.raises(UnsupportedModelError, match=r"^WeightsExport: Two holds 2 Vision Transformers"):
        make_trainer(export, max_epochs=1, limit_train_batches=1).fit(Two(reference.model), loaders[0])


def test_two_callbacks_of_a_kind_in_one_folder_are_refused(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    search, evaluation, selectivity = all_callbacks(tmp_path)
    cases: list[list[Any]] = [
        [search, NeuronPathSearch(run_dir=str(tmp_path), method="activation", **OPTIONS)],
        [search, evaluation, PathEvaluation(run_dir=tmp_path, fractions=(0.5,))],
        [search, selectivity, PathSelectivity(run_dir=tmp_path, kept=4)],
    ]
    for case in cases:
        with pytest.raises(ArgumentError, match=f"`run_dir` of each {type(case[-1]).__name__} .* 2 have {tmp_path}"):
            validate(Foreign(reference.model), loaders, *case)
    assert not (tmp_path / "settings.json").exists()


def test_hooks_out_of_sight_are_refused_before_work(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    reference.model.blocks[1].mlp.register_forward_hook(lambda module, arguments, output: output / 2)
    with pytest.raises(UnsupportedModelError, match=r"must have no hooks .* has on blocks\.1\.mlp"):
        validate(Foreign(reference.model), loaders, *search_and_evaluation(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_the_name_of_the_vit_is_the_callbacks_own_else_of_its_folder_else_of_all(tmp_path: Path) -> None:
    one, other = (NeuronPathSearch(run_dir=tmp_path / name, vit=name) for name in ("one", "other"))
    trainer: Any = SimpleNamespace(callbacks=[one, other, WeightsExport()])
    assert one.vit_name(trainer) == "one"
    assert PathEvaluation(run_dir=str(tmp_path / "other")).vit_name(trainer) == "other"
    with pytest.raises(ArgumentError, match=r"PathEvaluation must be given `vit`, .* name several: one, other"):
        PathEvaluation().vit_name(trainer)
    trainer.callbacks = [other]
    assert PathEvaluation().vit_name(trainer) == "other"
    trainer.callbacks = []
    assert PathEvaluation().vit_name(trainer) is None
