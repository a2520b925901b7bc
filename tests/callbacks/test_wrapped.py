"""Modules whose forward, or step, does something around their ViT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import nplight
from nplight.callbacks import NeuronPathSearch, PathEvaluation
from nplight.errors import UnsupportedModelError
from tests.callbacks.test_callbacks import OPTIONS, Foreign, loaders, make_trainer, quiet
from tests.conftest import Reference

__all__ = ["loaders", "quiet"]


class Normalising(Foreign):
    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.backbone["network"]((images - 0.5) / 0.1) * 3
        return found


class OwnHead(Foreign):
    def __init__(self, network: Any) -> None:
        network.reset_classifier(0)
        super().__init__(network)
        torch.manual_seed(0)
        self.classify = nn.Linear(network.num_features, 10).double()

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.classify(self.backbone["network"](images))
        return found

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self(batch[0])


class NormalisingStep(Foreign):
    """Prepares images where nobody sees it."""

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.backbone["network"]((batch[0] - 0.5) / 0.1)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        found: Tensor = self.backbone["network"]((batch[0] - 0.5) / 0.1)
        return found


class PlainStep(Foreign):
    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.backbone["network"](batch[0])


def callbacks(run: Path, **options: Any) -> list[Any]:
    return [
        NeuronPathSearch(run_dir=run, **OPTIONS, **options),
        PathEvaluation(run_dir=run, fractions=(1.0,), replicates=5, **options),
    ]


@pytest.mark.parametrize("kind", [Normalising, OwnHead])
def test_what_is_stored_is_what_the_module_gives(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, kind: type[Foreign]
) -> None:
    module = kind(reference.model)
    search, evaluation = callbacks(tmp_path)
    make_trainer(search, evaluation).validate(module, loaders, verbose=False)
    table = nplight.read_paths(tmp_path)
    chosen = table["index"] - 100
    with torch.no_grad():
        own = module.eval()(reference.images).softmax(-1)
    torch.testing.assert_close(
        table["probability"], own[chosen].gather(1, reference.labels[chosen, None]).squeeze(1), rtol=1e-6, atol=1e-6
    )
    held_out = torch.tensor(loaders[1].dataset.indices)  # type: ignore[attr-defined]
    labels = reference.labels[held_out]
    clean = next(result for result in evaluation.results if result.condition == "clean")
    assert clean.value("probability") == pytest.approx(own[held_out].gather(1, labels[:, None]).mean().item(), abs=1e-6)
    assert clean.value("accuracy") == pytest.approx((own[held_out].argmax(1) == labels).double().mean().item())

    prediction = NeuronPathSearch(run_dir=tmp_path / "predict", **OPTIONS)
    if kind is OwnHead:
        make_trainer(prediction).predict(module, loaders[1])
        table = nplight.read_paths(tmp_path / "predict")
        assert torch.equal(table["target"], own.argmax(1)[table["index"] - 100])


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
    make_trainer(*callbacks(tmp_path / "alone", vit="backbone.network")).validate(module, loaders, verbose=False)
    make_trainer(*callbacks(tmp_path / "plain")).validate(PlainStep(reference.model), loaders, verbose=False)
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
    make_trainer(*callbacks(tmp_path / "run")).validate(PlainStep(reference.model), loaders, verbose=False)
    evaluation = PathEvaluation(paths=tmp_path / "run", run_dir=tmp_path / "test", fractions=(1.0,), replicates=5)
    with pytest.raises(UnsupportedModelError, match=reason):
        make_trainer(evaluation).test(kind(reference.model), loaders[1], verbose=False)
    assert not reference.model._forward_pre_hooks


def test_hooks_out_of_sight_are_refused_before_work(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    reference.model.blocks[1].mlp.register_forward_hook(lambda module, arguments, output: output / 2)
    with pytest.raises(UnsupportedModelError, match=r"must have no hooks .* has on blocks\.1\.mlp"):
        make_trainer(*callbacks(tmp_path / "run")).validate(Foreign(reference.model), loaders, verbose=False)
    assert not (tmp_path / "run").exists()
