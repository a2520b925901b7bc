"""Projects of odd shapes: what cannot be done is refused in one line, and nothing is left undone in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, RandomSampler, Subset, SubsetRandomSampler

import nplight
from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathReport, PathSelectivity, WeightsExport
from nplight.errors import ArgumentError, UnsupportedModelError
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
from tests.callbacks.test_foreign import Two, callbacks, plain_run, validate
from tests.conftest import Reference, read_reference

__all__ = ["loaders", "plain_run", "quiet"]

LIGHTNING_WARNS = pytest.mark.filterwarnings(
    "ignore:.*has shuffling enabled",
    "ignore:Total length of .* is zero",
    "ignore:.*Skipping val loop",
    "ignore:.*in eval mode",
)

BOTH = {"student": "backbone.network", "teacher": "teacher"}


@pytest.fixture(scope="module")
def teacher_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of callbacks that were each given the teacher, to be read."""
    folder, reference = tmp_path_factory.mktemp("teacher"), read_reference("class_token")
    validate(Two(reference.model), make_loaders(reference), *callbacks(folder, vit="teacher"))
    return folder


@pytest.mark.parametrize("named", [0, 1, 2])
def test_a_vit_named_to_one_callback_is_known_to_all(
    reference: Reference, loaders: list[DataLoader[Any]], teacher_run: Path, tmp_path: Path, named: int
) -> None:
    module = Two(reference.model)
    some = callbacks(tmp_path / "one")
    some[named].vit = "teacher"
    validate(module, loaders, *some, PathReport(run_dir=tmp_path / "one", per_category=1, per_neuron=1))
    report = {"run.json", "pictures.json", "report.html"}
    assert {name: text for name, text in results(tmp_path / "one").items() if name not in report} == results(
        teacher_run
    )


def test_of_several_vits_the_one_of_the_same_folder_is_taken(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    module = Two(reference.model)
    searches = [NeuronPathSearch(run_dir=tmp_path / run, vit=vit, **OPTIONS) for run, vit in BOTH.items()]
    tests = [PathEvaluation(run_dir=tmp_path / run, fractions=(1.0,), replicates=5) for run in BOTH]
    validate(module, loaders, *searches, *tests)
    for run, vit in BOTH.items():
        validate(module, loaders, *callbacks(tmp_path / "alone" / run, vit=vit)[:2])
        assert results(tmp_path / run) == results(tmp_path / "alone" / run)
    lost = NeuronPathSearch(run_dir=tmp_path / "third", **OPTIONS)
    with pytest.raises(ArgumentError, match=r"NeuronPathSearch must be given `vit`, as .* backbone\.network, teacher"):
        validate(module, loaders, *searches, lost)


def test_paths_of_one_vit_are_not_tested_on_another(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    search = NeuronPathSearch(run_dir=tmp_path, vit="teacher", **OPTIONS)
    for test in (PathEvaluation, PathSelectivity):
        other = test(run_dir=tmp_path, vit="backbone.network")
        with pytest.raises(ArgumentError, match=f"{test.__name__} must share `vit` with exactly one NeuronPathSearch"):
            validate(Two(reference.model), loaders, search, other)
    assert not (tmp_path / "settings.json").exists()


@LIGHTNING_WARNS
def test_the_callback_that_lacks_a_vit_is_named(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedModelError, match=r"^NeuronPathSearch: Two holds 2 Vision Transformers"):
        validate(Two(reference.model), loaders, *callbacks(tmp_path))
    export = WeightsExport(run_dir=tmp_path)
    with pytest.raises(UnsupportedModelError, match=r"^WeightsExport: Two holds 2 Vision Transformers"):
        make_trainer(export, max_epochs=1, limit_train_batches=1).fit(Two(reference.model), loaders[0])


def test_weights_are_exported_of_the_vit_that_another_callback_names(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    search = NeuronPathSearch(run_dir=tmp_path, vit="teacher", **OPTIONS)
    trainer = make_trainer(search, WeightsExport(run_dir=tmp_path), max_epochs=1, limit_train_batches=1)
    trainer.fit(Two(reference.model), loaders[0], loaders)
    assert (tmp_path / "model.safetensors").exists()


def two_columns(samples: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return tuple(map(torch.stack, zip(*samples)))[:2]


SHUFFLES: dict[str, Any] = {
    "shuffle": lambda data: {"shuffle": True},
    "random subset": lambda data: {"sampler": SubsetRandomSampler(range(len(data)))},
    "distributed": lambda data: {"sampler": DistributedSampler(data, 1, 0, shuffle=True)},
    "batches": lambda data: {"batch_sampler": BatchSampler(RandomSampler(data), 7, False)},
}


@LIGHTNING_WARNS
@pytest.mark.parametrize("kind", SHUFFLES)
def test_shuffled_images_without_an_index_are_refused(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, kind: str
) -> None:
    data = loaders[0].dataset
    options = SHUFFLES[kind](data)
    if "batch_sampler" not in options:
        options["batch_size"] = 7
    shuffled = DataLoader(data, collate_fn=two_columns, **options)
    reason = r"shuffles its images, .* no `index`.*; .* shuffle=False, or .* `index`"
    with pytest.raises(ArgumentError, match=f"^the first validation loader {reason}"):
        validate(Foreign(reference.model), [shuffled, loaders[1]], *callbacks(tmp_path))
    if kind != "batches":  # which Lightning puts in order for `predict`
        with pytest.raises(ArgumentError, match=f"^the predict loader {reason}"):
            make_trainer(callbacks(tmp_path / "predicted")[0]).predict(Foreign(reference.model), shuffled)
    assert not (tmp_path / "paths").exists()
    # With an index, or in the order of the data, it is taken.
    indexed = DataLoader(data, **options)
    validate(Foreign(reference.model), [indexed, loaders[1]], *callbacks(tmp_path / "indexed"))
    ordered = DataLoader(data, batch_size=7, collate_fn=two_columns)
    validate(Foreign(reference.model), [ordered, loaders[1]], *callbacks(tmp_path / "ordered"))


@LIGHTNING_WARNS
def test_a_held_out_loader_may_shuffle(
    reference: Reference, loaders: list[DataLoader[Any]], plain_run: Path, tmp_path: Path
) -> None:
    shuffled = DataLoader(loaders[1].dataset, batch_size=7, shuffle=True, collate_fn=two_columns)
    validate(Foreign(reference.model), [loaders[0], shuffled], *callbacks(tmp_path))
    one, other = (contents(folder)["category_paths.json"] for folder in (tmp_path, plain_run))
    assert one == other


class Plain(LightningModule):
    """A module that only trains."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    training_step = Foreign.training_step
    configure_optimizers = Foreign.configure_optimizers


IDLE: dict[str, tuple[dict[str, Any], bool]] = {
    "limit_val_batches": ({"limit_val_batches": 0}, False),
    "no images": ({}, True),
}


@LIGHTNING_WARNS
@pytest.mark.parametrize("kind", IDLE)
def test_validate_without_images_is_refused(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, kind: str
) -> None:
    options, empty = IDLE[kind]
    nothing: Any = [DataLoader(Subset(loaders[0].dataset, []))] * 2
    for some in (callbacks(tmp_path)[:1], callbacks(tmp_path)):
        with pytest.raises(ArgumentError, match=r"NeuronPathSearch got no images: .*limit_val_batches"):
            validate(Foreign(reference.model), nothing if empty else loaders, *some, **options)
    assert not tmp_path.joinpath("settings.json").exists()


def test_predict_and_test_without_images_are_refused(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    search = callbacks(tmp_path)[0]
    with pytest.raises(ArgumentError, match=r"NeuronPathSearch got no images: .*limit_predict_batches"):
        make_trainer(search, limit_predict_batches=0).predict(Foreign(reference.model), loaders[1])
    validate(Foreign(reference.model), loaders, *callbacks(tmp_path)[:2])
    # The same callback, which has run before.
    with pytest.raises(ArgumentError, match=r"NeuronPathSearch got no images: .*limit_predict_batches"):
        make_trainer(search, limit_predict_batches=0).predict(Foreign(reference.model), loaders[1])
    again = PathEvaluation(paths=tmp_path, run_dir=tmp_path / "test")
    with pytest.raises(ArgumentError, match=r"PathEvaluation got no images: .*limit_test_batches"):
        make_trainer(again, limit_test_batches=0).test(Foreign(reference.model), loaders[1], verbose=False)


@LIGHTNING_WARNS
def test_a_split_without_images_is_refused(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    nothing: DataLoader[Any] = DataLoader(Subset(loaders[0].dataset, []))
    with pytest.raises(ArgumentError, match="the first validation loader must give images to find paths with"):
        validate(Foreign(reference.model), [nothing, loaders[1]], *callbacks(tmp_path / "discover"))
    with pytest.raises(ArgumentError, match="PathEvaluation must be given images to test paths with"):
        validate(Foreign(reference.model), [loaders[0], nothing], *callbacks(tmp_path / "held out"))
    with pytest.raises(ArgumentError, match="PathSelectivity must be given images to test paths with"):
        validate(Foreign(reference.model), [loaders[0], nothing], *callbacks(tmp_path / "other")[::2])
    for name in ("held out", "other"):
        assert not {"metrics.json", "selectivity.json"} & set(contents(tmp_path / name))


@LIGHTNING_WARNS
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("step", "the module has no `validation_step`"),
        ("loaders", "it has no validation loaders"),
        ("limit", "`limit_val_batches` is 0"),
    ],
)
def test_a_training_without_validation_is_not_searched_in_silence(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, kind: str, reason: str
) -> None:
    module = Plain(reference.model) if kind == "step" else Foreign(reference.model)
    search = NeuronPathSearch(run_dir=tmp_path, every_n_epochs=1, **OPTIONS)
    trainer = make_trainer(search, max_epochs=1, limit_train_batches=1, limit_val_batches=0 if kind == "limit" else 1.0)
    with pytest.raises(ArgumentError, match=f"`every_n_epochs` searches in the validation of `fit`, but {reason}"):
        trainer.fit(module, loaders[0], None if kind == "loaders" else loaders)


def test_a_training_too_short_to_be_searched_says_so(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    search = NeuronPathSearch(run_dir=tmp_path, every_n_epochs=3, **OPTIONS)
    with pytest.warns(UserWarning, match="no epoch of this training was searched: `every_n_epochs` is 3"):
        make_trainer(search, max_epochs=2, limit_train_batches=1).fit(Foreign(reference.model), loaders[0], loaders)


class Late(Foreign):
    """A module that makes its network when it is told to."""

    def __init__(self, network: nn.Module) -> None:
        LightningModule.__init__(self)
        self.made = (network,)  # in a tuple it is no part of the module yet

    def make(self) -> None:
        self.backbone = nn.ModuleDict({"network": self.made[0]})


class Configured(Late):
    def configure_model(self) -> None:
        self.make()


class SetUp(Late):
    def setup(self, stage: str) -> None:
        self.make()


@pytest.mark.parametrize("kind", [Configured, SetUp])
def test_a_model_made_late_is_searched(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, kind: type[Late]
) -> None:
    validate(Foreign(reference.model), loaders, *callbacks(tmp_path / "early"))
    validate(kind(reference.model), loaders, *callbacks(tmp_path / "late"))
    assert contents(tmp_path / "late") == contents(tmp_path / "early")
    stored = PathEvaluation(paths=tmp_path / "early", run_dir=tmp_path / "test", fractions=(1.0,), replicates=5)
    make_trainer(stored).test(kind(reference.model), loaders[1], verbose=False)
    search = NeuronPathSearch(run_dir=tmp_path / "fit", every_n_epochs=1, **OPTIONS)
    trainer = make_trainer(search, max_epochs=1, limit_train_batches=1)
    trainer.fit(kind(reference.model), loaders[0], loaders)
    assert (tmp_path / "fit" / "epoch-0000" / "category_paths.json").exists()


def test_a_report_of_another_folder_is_refused_before_work(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    for folder in (None, tmp_path / "other"):
        with pytest.raises(ArgumentError, match=r"PathReport must share `run_dir` with .* results it shows"):
            validate(Foreign(reference.model), loaders, *callbacks(tmp_path / "run"), PathReport(run_dir=folder))
    assert not (tmp_path / "run").exists()


def test_two_callbacks_of_a_kind_in_one_folder_are_refused(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    search, evaluation, selectivity = callbacks(tmp_path)
    cases: list[list[Any]] = [
        [search, NeuronPathSearch(run_dir=str(tmp_path), method="activation", **OPTIONS)],
        [search, evaluation, PathEvaluation(run_dir=tmp_path, fractions=(0.5,))],
        [search, selectivity, PathSelectivity(run_dir=tmp_path, kept=4)],
    ]
    for case in cases:
        with pytest.raises(ArgumentError, match=f"`run_dir` of each {type(case[-1]).__name__} .* 2 have {tmp_path}"):
            validate(Foreign(reference.model), loaders, *case)
    assert not (tmp_path / "settings.json").exists()


def test_callbacks_of_other_commands_do_no_harm_in_predict(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    make_trainer(*callbacks(tmp_path)).predict(Foreign(reference.model), loaders[1])
    assert len(nplight.read_paths(tmp_path)) == 40
