"""The callbacks in projects that have never heard of them: their batches, loggers, failures and twins."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, Logger
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

import nplight
from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathSelectivity, for_pytorch_lightning
from nplight.errors import ArgumentError, UnsupportedModelError
from nplight.store import RunFolder, lock
from tests.callbacks.test_callbacks import (
    OPTIONS,
    Foreign,
    contents,
    loaders,
    make_loaders,
    make_trainer,
    quiet,
    results,
)
from tests.conftest import Reference, make_vit, read_reference

__all__ = ["loaders", "quiet"]


def callbacks(run: Path, **options: Any) -> list[Any]:
    return [
        NeuronPathSearch(run_dir=run, **OPTIONS, **options),
        PathEvaluation(run_dir=run, fractions=(1.0,), replicates=5, **options),
        PathSelectivity(run_dir=run, replicates=5, **options),
    ]


def validate(module: LightningModule, loaders: Any, *callbacks: Callback, **options: Any) -> None:
    make_trainer(*callbacks, **options).validate(module, loaders, verbose=False)


@pytest.fixture(scope="session")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of `callbacks` on the reference images, to be read."""
    folder, reference = tmp_path_factory.mktemp("plain"), read_reference("class_token")
    validate(Foreign(reference.model), make_loaders(reference), *callbacks(folder))
    return folder


def collated(loaders: list[DataLoader[Any]], shape: Callable[[Tensor, Tensor, Tensor], Any]) -> list[DataLoader[Any]]:
    """The same images, their batches in another shape."""

    def collate(samples: Any) -> Any:
        return shape(*map(torch.stack, zip(*samples)))

    return [DataLoader(one.dataset, batch_size=7, collate_fn=collate) for one in loaders]


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
    validate(Foreign(reference.model), collated(loaders, make), *callbacks(tmp_path / "other", **options))
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
            validate(Foreign(reference.model), collated(loaders, make), *callbacks(tmp_path, **options))
    assert lock._HELD == {}
    for name in ("nowhere.function", "unpack", "nplight.data.nothing", "nplight.errors.__all__"):
        with pytest.raises(ArgumentError, match=r"`read_batch` must be .*dotted name"):
            NeuronPathSearch(read_batch=name)


class Two(Foreign):
    """Two models side by side, a teacher and a student, say."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        self.teacher = copy.deepcopy(network)
        with torch.no_grad():
            self.teacher.head.bias[0] += 1


def test_two_models_are_searched_side_by_side(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    module = Two(reference.model)
    both = {"student": "backbone.network", "teacher": "teacher"}
    together = [one for run, vit in both.items() for one in callbacks(tmp_path / run, vit=vit)]
    assert len({one.state_key for one in together}) == 6
    # Each evaluation tests the paths of its own search, whatever the order.
    validate(module, loaders, *together[:3], *reversed(together[3:]))
    for run, vit in both.items():
        validate(module, loaders, *callbacks(tmp_path / "alone" / run, vit=vit))
        assert results(tmp_path / run) == results(tmp_path / "alone" / run)
    assert contents(tmp_path / "student") != contents(tmp_path / "teacher")
    with pytest.raises(UnsupportedModelError, match=r"holds 2 Vision Transformers, backbone\.network, teacher"):
        validate(module, loaders, *callbacks(tmp_path / "none"))
    with pytest.raises(ArgumentError, match=r"PathEvaluation must share `run_dir` and `vit` with exactly one"):
        validate(module, loaders, *together[:1], *together[3:4], PathEvaluation(run_dir=tmp_path))


HOOKS = [
    "setup", "on_validation_start", "on_validation_epoch_start", "on_validation_batch_start", "on_validation_batch_end",
    "on_validation_epoch_end", "on_validation_end", "teardown",
]  # fmt: skip


def hooks_of(module: nn.Module) -> int:
    return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in module.modules())


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("hook", [*HOOKS, "validation_step"])
def test_a_failure_anywhere_leaves_no_trace(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, hook: str, first: bool
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError(hook)

    failing, module = Callback(), Foreign(reference.model)
    loaders = [DataLoader(Subset(one.dataset, range(0, 40, 4)), batch_size=7) for one in loaders]
    setattr(module if hook == "validation_step" else failing, hook, fail)
    own = callbacks(tmp_path)
    before = [(parameter.requires_grad, parameter.clone()) for parameter in module.parameters()]
    training = [one.training for one in reference.model.modules()]
    with pytest.raises(ZeroDivisionError, match=hook):
        validate(module, loaders, *([failing, *own] if first else [*own, failing]))
    assert lock._HELD == {}
    assert hooks_of(module) == 0
    assert all(
        now.requires_grad == was and torch.equal(now, value) for now, (was, value) in zip(module.parameters(), before)
    )
    assert [one.training for one in reference.model.modules()] == training or hook != "teardown"
    # The same callbacks go on, in another Trainer.
    delattr(module if hook == "validation_step" else failing, hook)
    validate(module, loaders, *own)
    assert (tmp_path / "metrics.json").exists()


class Silent(Logger):
    """A logger without a folder, an experiment or a version."""

    def __init__(self) -> None:
        super().__init__()
        self.logged: dict[str, float] = {}

    @property
    def name(self) -> None:
        return None

    @property
    def version(self) -> None:
        return None

    def log_hyperparams(self, *_: Any, **__: Any) -> None: ...

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.logged |= metrics


@pytest.mark.parametrize("kind", ["none", "silent", "two"])
def test_any_logger_will_do(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    silent, csv = Silent(), CSVLogger(tmp_path / "logs")
    logger: Any = {"none": False, "silent": silent, "two": [csv, silent]}[kind]
    search, evaluation = NeuronPathSearch(**OPTIONS), PathEvaluation(fractions=(1.0,), replicates=5)
    validate(Foreign(reference.model), loaders, search, evaluation, logger=logger)
    assert evaluation.results
    assert ("paths/clean/accuracy" in silent.logged) == (kind != "none")
    assert (search.run.path / "metrics.json").exists()


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
    validate(module, loaders, *callbacks(tmp_path / "compiled", **options))
    for name in ("category_paths.json", "metrics.csv"):
        assert (plain_run / name).read_bytes() == (tmp_path / "compiled" / name).read_bytes()


class Twin(pytorch_lightning.LightningModule):  # type: ignore[misc]
    """A module of the other package."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    validation_step = Foreign.validation_step
    training_step = None

    def configure_optimizers(self) -> None: ...


def test_a_project_of_the_twin_package(
    reference: Reference, loaders: list[DataLoader[Any]], plain_run: Path, tmp_path: Path
) -> None:
    trainer = pytorch_lightning.Trainer(
        callbacks=for_pytorch_lightning(*callbacks(tmp_path / "other")), accelerator="cpu", devices=1, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.validate(Twin(reference.model), loaders, verbose=False)
    assert contents(tmp_path / "other") == contents(plain_run)


@pytest.mark.filterwarnings("ignore:.*use of fork\\(\\):DeprecationWarning")
@pytest.mark.parametrize("strategy", ["ddp_spawn", "ddp_notebook"])
def test_processes_that_lightning_starts(tmp_path: Path, strategy: str) -> None:
    trainer = Trainer(
        callbacks=callbacks(tmp_path)[:1], accelerator="cpu", devices=2, strategy=strategy, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    images = torch.randn(6, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    data: Any = torch.utils.data.TensorDataset(images, torch.arange(6) % 2, torch.arange(6))
    loader = DataLoader(data, batch_size=2, sampler=nplight.data.EachOnceSampler(data))
    trainer.validate(Foreign(make_vit(num_classes=2)), loader, verbose=False)
    assert len(nplight.read_paths(tmp_path)) == 6
    assert RunFolder(tmp_path).read_category_paths()[1] == 1
