from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.trainer.states import TrainerFn
from torch.utils.data import DataLoader

from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathSelectivity
from nplight.callbacks.siblings import search_of
from nplight.errors import ArgumentError, UnsupportedModelError
from tests.callbacks.foreign_project import OPTIONS, Two, all_callbacks, contents, results, validate
from tests.conftest import Reference


def test_two_models_are_searched_side_by_side(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    module = Two(reference.model)
    both = {"student": "backbone.network", "teacher": "teacher"}
    together = [callback for run, vit in both.items() for callback in all_callbacks(tmp_path / run, vit=vit)]
    assert len({callback.state_key for callback in together}) == 6
    # Each evaluation tests the paths of its own search, whatever the order.
    validate(module, loaders, *together[:3], *reversed(together[3:]))
    for run, vit in both.items():
        validate(module, loaders, *all_callbacks(tmp_path / "alone" / run, vit=vit))
        assert results(tmp_path / run) == results(tmp_path / "alone" / run)
    assert contents(tmp_path / "student") != contents(tmp_path / "teacher")
    with pytest.raises(UnsupportedModelError, match=r"holds 2 Vision Transformers, backbone\.network, teacher"):
        validate(module, loaders, *all_callbacks(tmp_path / "none"))
    with pytest.raises(ArgumentError, match=r"PathEvaluation must share `run_dir` and `vit` with exactly one"):
        validate(module, loaders, *together[:1], *together[3:4], PathEvaluation(run_dir=tmp_path))


def test_paths_of_one_vit_are_not_tested_on_another(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    search = NeuronPathSearch(run_dir=tmp_path, vit="teacher", **OPTIONS)
    for test in (PathEvaluation, PathSelectivity):
        other = test(run_dir=tmp_path, vit="backbone.network")
        with pytest.raises(ArgumentError, match=f"{test.__name__} must share `vit` with exactly one NeuronPathSearch"):
            validate(Two(reference.model), loaders, search, other)
    assert not (tmp_path / "settings.json").exists()


@pytest.mark.parametrize("command", TrainerFn)
def test_a_search_is_found_in_validate_and_fit_alone(command: TrainerFn) -> None:
    search, evaluation = NeuronPathSearch(), PathEvaluation(run_dir="elsewhere")
    trainer: Any = SimpleNamespace(state=SimpleNamespace(fn=command), callbacks=[evaluation, search])
    expected = search if command in (TrainerFn.VALIDATING, TrainerFn.FITTING) else None
    assert search_of(trainer, evaluation) is expected  # of another folder, but the only one
    trainer.callbacks = [evaluation]
    assert search_of(trainer, evaluation) is None


def test_of_several_searches_the_one_of_the_same_folder_is_found() -> None:
    searches = [NeuronPathSearch(run_dir=name) for name in ("one", "other")]
    trainer: Any = SimpleNamespace(state=SimpleNamespace(fn=TrainerFn.VALIDATING), callbacks=searches)
    assert search_of(trainer, PathEvaluation(run_dir="other")) is searches[1]
    with pytest.raises(ArgumentError, match=r"must share `run_dir` and `vit` with exactly one .* with 0 of 2"):
        search_of(trainer, PathEvaluation(run_dir="third"))
