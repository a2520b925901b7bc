from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.strategies import FSDPStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, RandomSampler, Subset, SubsetRandomSampler

from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathSelectivity
from nplight.errors import ArgumentError, UnsupportedModelError
from tests.callbacks.foreign_project import (
    LIGHTNING_WARNS,
    OPTIONS,
    Foreign,
    all_callbacks,
    contents,
    make_trainer,
    validate,
)
from tests.conftest import Reference


def test_what_is_missing_is_refused_before_work(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    module = Foreign(reference.model)
    search = NeuronPathSearch(run_dir=tmp_path, **OPTIONS)
    cases = [
        (make_trainer(PathEvaluation(run_dir=tmp_path)), module, loaders, "PathEvaluation needs category paths"),
        (make_trainer(search, PathEvaluation(run_dir=tmp_path)), module, loaders[0], "needs two validation loaders"),
        (make_trainer(NeuronPathSearch(run_dir=tmp_path, top_k=193)), module, loaders, "`top_k` must be at most 192"),
        (make_trainer(search), module, DataLoader(reference.images, batch_size=8), "the batch must have labels"),
    ]
    for trainer, model, data, reason in cases:
        with pytest.raises(ArgumentError, match=reason):
            trainer.validate(model, data, verbose=False)
    with pytest.raises(UnsupportedModelError, match="Foreign, which cannot be opened"):
        make_trainer(search).validate(Foreign(nn.Linear(2, 2)), loaders, verbose=False)
    assert not (tmp_path / "paths").exists()


@pytest.mark.parametrize("callback", [NeuronPathSearch, PathEvaluation, PathSelectivity])
def test_a_third_validation_loader_is_refused(
    callback: Callable[..., Callback], reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    search = [] if callback is NeuronPathSearch else [NeuronPathSearch(run_dir=tmp_path, **OPTIONS)]
    trainer = make_trainer(callback(run_dir=tmp_path), *search)
    reason = rf"{callback.__name__} takes two validation loaders, .*, got 3; pass dataloaders=\[discover, held_out\]"
    with pytest.raises(ArgumentError, match=reason):
        trainer.validate(Foreign(reference.model), [*loaders, loaders[1]], verbose=False)
    assert not (tmp_path / "paths").exists()


def test_a_discover_loader_without_a_length_is_refused(reference: Reference, tmp_path: Path) -> None:
    class Endless(torch.utils.data.IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            yield from zip(reference.images, reference.labels)

    data = DataLoader(Endless(), batch_size=4)
    with pytest.raises(ArgumentError, match="the first validation loader must have a length"):
        make_trainer(NeuronPathSearch(run_dir=tmp_path)).validate(Foreign(reference.model), data, verbose=False)


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
        validate(Foreign(reference.model), [shuffled, loaders[1]], *all_callbacks(tmp_path))
    if kind != "batches":  # which Lightning puts in order for `predict`
        with pytest.raises(ArgumentError, match=f"^the predict loader {reason}"):
            make_trainer(all_callbacks(tmp_path / "predicted")[0]).predict(Foreign(reference.model), shuffled)
    assert not (tmp_path / "paths").exists()
    # With an index, or in the order of the data, it is taken.
    indexed = DataLoader(data, **options)
    validate(Foreign(reference.model), [indexed, loaders[1]], *all_callbacks(tmp_path / "indexed"))
    ordered = DataLoader(data, batch_size=7, collate_fn=two_columns)
    validate(Foreign(reference.model), [ordered, loaders[1]], *all_callbacks(tmp_path / "ordered"))


@LIGHTNING_WARNS
def test_a_held_out_loader_may_shuffle(
    reference: Reference, loaders: list[DataLoader[Any]], plain_run: Path, tmp_path: Path
) -> None:
    shuffled = DataLoader(loaders[1].dataset, batch_size=7, shuffle=True, collate_fn=two_columns)
    validate(Foreign(reference.model), [loaders[0], shuffled], *all_callbacks(tmp_path))
    shuffled_paths, ordered_paths = (contents(folder)["category_paths.json"] for folder in (tmp_path, plain_run))
    assert shuffled_paths == ordered_paths


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
    for callbacks in (all_callbacks(tmp_path)[:1], all_callbacks(tmp_path)):
        with pytest.raises(ArgumentError, match=r"NeuronPathSearch got no images: .*limit_val_batches"):
            validate(Foreign(reference.model), nothing if empty else loaders, *callbacks, **options)
    assert not tmp_path.joinpath("settings.json").exists()


def test_predict_and_test_without_images_are_refused(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    search = all_callbacks(tmp_path)[0]
    with pytest.raises(ArgumentError, match=r"NeuronPathSearch got no images: .*limit_predict_batches"):
        make_trainer(search, limit_predict_batches=0).predict(Foreign(reference.model), loaders[1])
    validate(Foreign(reference.model), loaders, *all_callbacks(tmp_path)[:2])
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
        validate(Foreign(reference.model), [nothing, loaders[1]], *all_callbacks(tmp_path / "discover"))
    with pytest.raises(ArgumentError, match="PathEvaluation must be given images to test paths with"):
        validate(Foreign(reference.model), [loaders[0], nothing], *all_callbacks(tmp_path / "held out"))
    with pytest.raises(ArgumentError, match="PathSelectivity must be given images to test paths with"):
        validate(Foreign(reference.model), [loaders[0], nothing], *all_callbacks(tmp_path / "other")[::2])
    for name in ("held out", "other"):
        assert not {"metrics.json", "selectivity.json"} & set(contents(tmp_path / name))


class Plain(LightningModule):
    """A module that only trains."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    training_step = Foreign.training_step
    configure_optimizers = Foreign.configure_optimizers


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


def test_sharded_weights_are_refused_by_name(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    callbacks = [NeuronPathSearch(), PathEvaluation(paths="any")]
    trainer = make_trainer(*callbacks)
    monkeypatch.setattr(trainer._accelerator_connector, "strategy", FSDPStrategy())
    trainer.state.fn = TrainerFn.VALIDATING
    for callback in callbacks:
        with pytest.raises(ArgumentError, match="FSDPStrategy spreads its weights; use strategy='ddp'"):
            callback.setup(trainer, Foreign(reference.model), "validate")
