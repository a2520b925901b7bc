"""The callbacks in projects that have never heard of them: their batches, forwards, compilers and launchers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

import nplight
from nplight.callbacks import NeuronPathSearch
from nplight.errors import ArgumentError
from nplight.store import RunFolder, lock
from tests.callbacks.foreign_project import (
    OPTIONS,
    Foreign,
    all_callbacks,
    contents,
    make_trainer,
    search_and_evaluation,
    validate,
)
from tests.conftest import Reference, make_vit


def collated(loaders: list[DataLoader[Any]], shape: Callable[[Tensor, Tensor, Tensor], Any]) -> list[DataLoader[Any]]:
    """The same images, their batches in another shape."""

    def collate(samples: Any) -> Any:
        return shape(*map(torch.stack, zip(*samples)))

    return [DataLoader(loader.dataset, batch_size=7, collate_fn=collate) for loader in loaders]


def unpack(batch: Any) -> Any:
    return batch["views"][0], batch["meta"]["class"], batch["meta"]["number"]


SHAPES: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "list": (lambda images, labels, index: [images, labels, index], {}),
    "hugging face": (lambda images, labels, index: {"pixel_values": images, "labels": labels, "index": index}, {}),
    "plural": (lambda images, labels, index: {"images": images, "labels": labels, "index": index, "more": "x"}, {}),
    "own": (
        lambda images, labels, index: {"views": [images, images], "meta": {"class": labels, "number": index}},
        {"read_batch": unpack},
    ),
    "own by name": (
        lambda images, labels, index: {"views": [images], "meta": {"class": labels, "number": index}},
        {"read_batch": f"{__name__}.unpack"},
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_batches_of_any_shape_give_the_same(
    reference: Reference, loaders: list[DataLoader[Any]], plain_run: Path, tmp_path: Path, shape: str
) -> None:
    make, options = SHAPES[shape]
    # A search by category reads the discover images once more.
    validate(Foreign(reference.model), collated(loaders, make), *all_callbacks(tmp_path / "other", **options))
    assert contents(tmp_path / "other") == contents(plain_run)


def test_what_cannot_be_read_is_described(reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path) -> None:
    cases: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
        (
            lambda images, *_: {"pixels": images},
            {},
            r"got keys \['pixels'\]; give the callback a function `read_batch`",
        ),
        (lambda images, labels, _: (images, {"label": labels}), {}, r"got tuple \(Tensor, dict\)"),
        (lambda images, *_: images, {"read_batch": lambda batch: "nothing"}, "got str"),
    ]
    for make, options, reason in cases:
        with pytest.raises(ArgumentError, match=reason):
            validate(Foreign(reference.model), collated(loaders, make), *all_callbacks(tmp_path, **options))
    assert lock._HELD == {}
    for name in ("nowhere.function", "unpack", "nplight.data.nothing", "nplight.errors.__all__"):
        with pytest.raises(ArgumentError, match=r"`read_batch` must be .*dotted name"):
            NeuronPathSearch(read_batch=name)


class Normalising(Foreign):
    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.backbone["network"]((images - 0.5) / 0.1) * 3
        return logits


class OwnHead(Foreign):
    def __init__(self, network: Any) -> None:
        network.reset_classifier(0)
        super().__init__(network)
        torch.manual_seed(0)
        self.classify = nn.Linear(network.num_features, 10).double()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.backbone["network"](images))
        return logits

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self(batch[0])


@pytest.mark.parametrize("kind", [Normalising, OwnHead])
def test_what_is_stored_is_what_the_module_gives(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, kind: type[Foreign]
) -> None:
    module = kind(reference.model)
    search, evaluation = search_and_evaluation(tmp_path)
    make_trainer(search, evaluation).validate(module, loaders, verbose=False)
    table = nplight.read_paths(tmp_path)
    chosen = table["index"] - 100
    with torch.no_grad():
        probabilities = module.eval()(reference.images).softmax(-1)
    torch.testing.assert_close(
        table["probability"],
        probabilities[chosen].gather(1, reference.labels[chosen, None]).squeeze(1),
        rtol=1e-6,
        atol=1e-6,
    )
    held_out = torch.tensor(loaders[1].dataset.indices)  # type: ignore[attr-defined]
    labels = reference.labels[held_out]
    clean = next(result for result in evaluation.results if result.condition == "clean")
    assert clean.value("probability") == pytest.approx(
        probabilities[held_out].gather(1, labels[:, None]).mean().item(), abs=1e-6
    )
    assert clean.value("accuracy") == pytest.approx(
        (probabilities[held_out].argmax(1) == labels).double().mean().item()
    )

    prediction = NeuronPathSearch(run_dir=tmp_path / "predict", **OPTIONS)
    if kind is OwnHead:
        make_trainer(prediction).predict(module, loaders[1])
        table = nplight.read_paths(tmp_path / "predict")
        assert torch.equal(table["target"], probabilities.argmax(1)[table["index"] - 100])


@pytest.mark.parametrize("what", ["module", "network"])
def test_a_compiled_model_is_opened_as_it_was_written(
    reference: Reference, loaders: list[DataLoader[Any]], plain_run: Path, tmp_path: Path, what: str
) -> None:
    """The edits are made in the eager model: what `torch.compile` made of it neither sees nor disturbs them."""
    module: Any = Foreign(reference.model)
    if what == "network":
        module.backbone["network"] = torch.compile(reference.model, backend="eager")
    else:
        module = torch.compile(module, backend="eager")
    options = {"vit": "backbone.network"} if what == "network" else {}
    validate(module, loaders, *all_callbacks(tmp_path / "compiled", **options))
    for name in ("category_paths.json", "metrics.csv"):
        assert (plain_run / name).read_bytes() == (tmp_path / "compiled" / name).read_bytes()


@pytest.mark.filterwarnings("ignore:.*use of fork\\(\\):DeprecationWarning")
@pytest.mark.parametrize("strategy", ["ddp_spawn", "ddp_notebook"])
def test_processes_that_lightning_starts(tmp_path: Path, strategy: str) -> None:
    trainer = Trainer(
        callbacks=all_callbacks(tmp_path)[:1], accelerator="cpu", devices=2, strategy=strategy, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    images = torch.randn(6, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    data: Any = torch.utils.data.TensorDataset(images, torch.arange(6) % 2, torch.arange(6))
    loader = DataLoader(data, batch_size=2, sampler=nplight.data.EachOnceSampler(data))
    trainer.validate(Foreign(make_vit(num_classes=2)), loader, verbose=False)
    assert len(nplight.read_paths(tmp_path)) == 6
    assert RunFolder(tmp_path).read_category_paths()[1] == 1
