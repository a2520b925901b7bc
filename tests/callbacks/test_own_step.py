"""Modules whose step gives their ViT other images than the batch's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

import nplight
from nplight.callbacks import NeuronPathSearch, PathEvaluation
from nplight.callbacks.own_step import OwnStep, check_entered
from nplight.errors import UnsupportedModelError
from tests.callbacks.foreign_project import OPTIONS, Foreign, make_trainer, search_and_evaluation, validate
from tests.conftest import Reference, make_vit


class NormalisingStep(Foreign):
    """Prepares images where nobody sees it."""

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.backbone["network"]((batch[0] - 0.5) / 0.1)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        logits: Tensor = self.backbone["network"]((batch[0] - 0.5) / 0.1)
        return logits


class PlainStep(Foreign):
    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.backbone["network"](batch[0])


def test_a_step_that_prepares_images_by_itself_is_refused(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    module = NormalisingStep(reference.model)
    for run in ("validate", "predict"):
        search = NeuronPathSearch(run_dir=tmp_path / run, **OPTIONS)
        trainer = make_trainer(search)
        with pytest.raises(UnsupportedModelError, match="the module's own step passes others to its VisionTransformer"):
            trainer.validate(module, loaders) if run == "validate" else trainer.predict(module, loaders[0])
        assert not reference.model._forward_pre_hooks
        assert not list(tmp_path.rglob("*.parquet"))
    # One that is named is searched alone.
    validate(module, loaders, *search_and_evaluation(tmp_path / "alone", vit="backbone.network"))
    validate(PlainStep(reference.model), loaders, *search_and_evaluation(tmp_path / "plain"))
    alone, plain = (nplight.read_paths(tmp_path / run) for run in ("alone", "plain"))
    assert torch.equal(alone["neurons"], plain["neurons"])


class NormalisingTestStep(PlainStep):
    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.backbone["network"]((batch[0] - 0.5) / 0.1)


class Beside(Foreign):
    """Its logits depend on the images beside the ViT."""

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.backbone["network"](images)
        return logits + images.mean((1, 2, 3))[:, None] * torch.arange(10).to(images)


@pytest.mark.filterwarnings("ignore:the paths of .* were found with other weights")
@pytest.mark.parametrize(
    ("kind", "reason"),
    [(NormalisingTestStep, "the module's own step passes others"), (Beside, "Beside whose forward does more")],
)
def test_stored_paths_are_not_tested_on_what_a_module_does_not_do(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, kind: type[Foreign], reason: str
) -> None:
    validate(PlainStep(reference.model), loaders, *search_and_evaluation(tmp_path / "run"))
    evaluation = PathEvaluation(paths=tmp_path / "run", run_dir=tmp_path / "test", fractions=(1.0,), replicates=5)
    with pytest.raises(UnsupportedModelError, match=reason):
        make_trainer(evaluation).test(kind(reference.model), loaders[1], verbose=False)
    assert not reference.model._forward_pre_hooks


def test_what_enters_the_vit_is_noted_until_it_is_released() -> None:
    vit, step = nplight.open_vit(make_vit()), OwnStep()
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    assert step.release() == []
    step.watch(vit)
    step.watch(vit)  # one hook, not two
    vit.transformer(images)
    vit.transformer(x=images + 1)
    given = step.release()
    assert [torch.equal(entered, images + number) for number, entered in enumerate(given)] == [True, True]
    vit.transformer(images)
    assert step.release() == []
    assert not vit.transformer._forward_pre_hooks


def test_images_of_the_batch_are_told_from_others_up_to_rounding() -> None:
    vit = nplight.open_vit(make_vit())
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    for given in ([], [images], [images.float()], [images / 2, images]):
        check_entered(given, vit, images)
    missing = images.clone()
    missing[0, 0, 0, 0] = torch.nan
    check_entered([missing], vit, missing)
    for other in (images[:1], images + 0.01, (images * 9).long()):
        with pytest.raises(UnsupportedModelError, match="the module's own step passes others to its VisionTransformer"):
            check_entered([other], vit, images)
