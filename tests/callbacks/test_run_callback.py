from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from torch import nn
from torch.utils.data import DataLoader, Subset

import nplight
from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathReport, PathSelectivity
from nplight.callbacks.run_callback import RunCallback
from nplight.runs import Run
from nplight.store import lock
from nplight.vit import registry
from tests.callbacks.foreign_project import OPTIONS, Foreign, all_callbacks, contents, make_trainer, validate
from tests.callbacks.small_runs import DISCOVER, HELD_OUT, loader
from tests.conftest import Reference, make_vit

HOOKS = [
    "setup", "on_validation_start", "on_validation_epoch_start", "on_validation_batch_start", "on_validation_batch_end",
    "on_validation_epoch_end", "on_validation_end", "teardown",
]  # fmt: skip


def hooks_of(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("hook", [*HOOKS, "validation_step"])
def test_a_failure_anywhere_leaves_no_trace(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path, hook: str, first: bool
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError(hook)

    failing, module = Callback(), Foreign(reference.model)
    loaders = [DataLoader(Subset(loader.dataset, range(0, 40, 4)), batch_size=7) for loader in loaders]
    setattr(module if hook == "validation_step" else failing, hook, fail)
    callbacks = all_callbacks(tmp_path)
    before = [(parameter.requires_grad, parameter.clone()) for parameter in module.parameters()]
    training = [part.training for part in reference.model.modules()]
    with pytest.raises(ZeroDivisionError, match=hook):
        validate(module, loaders, *([failing, *callbacks] if first else [*callbacks, failing]))
    assert lock._HELD == {}
    assert hooks_of(module) == 0
    assert all(
        now.requires_grad == was and torch.equal(now, value) for now, (was, value) in zip(module.parameters(), before)
    )
    assert [part.training for part in reference.model.modules()] == training or hook != "teardown"
    # The same callbacks go on, in another Trainer.
    delattr(module if hook == "validation_step" else failing, hook)
    validate(module, loaders, *callbacks)
    assert (tmp_path / "metrics.json").exists()


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
    validate(Foreign(reference.model), loaders, *all_callbacks(tmp_path / "early"))
    validate(kind(reference.model), loaders, *all_callbacks(tmp_path / "late"))
    assert contents(tmp_path / "late") == contents(tmp_path / "early")
    stored = PathEvaluation(paths=tmp_path / "early", run_dir=tmp_path / "test", fractions=(1.0,), replicates=5)
    make_trainer(stored).test(kind(reference.model), loaders[1], verbose=False)
    search = NeuronPathSearch(run_dir=tmp_path / "fit", every_n_epochs=1, **OPTIONS)
    trainer = make_trainer(search, max_epochs=1, limit_train_batches=1)
    trainer.fit(kind(reference.model), loaders[0], loaders)
    assert (tmp_path / "fit" / "epoch-0000" / "category_paths.json").exists()


def test_callbacks_of_other_commands_do_no_harm_in_predict(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    make_trainer(*all_callbacks(tmp_path)).predict(Foreign(reference.model), loaders[1])
    assert len(nplight.read_paths(tmp_path)) == 40


KINDS = [NeuronPathSearch, PathEvaluation, PathSelectivity]


def small_callbacks(run: Path, *kinds: type[RunCallback[Any]]) -> list[Any]:
    """A search, without which the others have nothing to test, and those of the kinds."""
    options: dict[Any, dict[str, Any]] = {
        NeuronPathSearch: {"method": "activation", "steps": 2, "kept": (2,)},
        PathEvaluation: {"fractions": (0.5,), "replicates": 0},
        PathSelectivity: {"replicates": 0},
    }
    return [kind(run_dir=run, **options[kind]) for kind in dict.fromkeys((NeuronPathSearch, *kinds))]


class Watching(Callback):
    """Notes in which hooks a callback has a run; fails in one of them, if told."""

    def __init__(self, callback: RunCallback[Any], fails_in: str | None = None) -> None:
        self.callback = callback
        self.fails_in = fails_in
        self.runs: dict[str, Run | None] = {}
        self.folders: set[Path] = set()

    def note(self, hook: str) -> None:
        self.runs[hook] = self.callback._run
        self.folders |= lock._HELD.keys()
        if hook == self.fails_in:
            raise ZeroDivisionError(hook)

    def setup(self, *_: Any, **__: Any) -> None:
        self.note("setup")

    def on_validation_start(self, *_: Any) -> None:
        self.note("start")

    def on_validation_batch_end(self, *arguments: Any, **_: Any) -> None:
        self.note(f"batch of loader {arguments[5] if len(arguments) > 5 else 0}")

    def on_validation_end(self, *_: Any) -> None:
        self.note("end")

    def teardown(self, *_: Any, **__: Any) -> None:
        self.note("teardown")


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_lasts_as_long_as_its_loop(tmp_path: Path, kind: type[RunCallback[Any]]) -> None:
    module = Foreign(make_vit(num_classes=4))
    callbacks = small_callbacks(tmp_path, kind)
    watching = Watching(callbacks[-1])
    validate(module, [loader(DISCOVER), loader(HELD_OUT)], *callbacks, watching)
    assert list(watching.runs) == ["setup", "start", "batch of loader 0", "batch of loader 1", "end", "teardown"]
    before, *during, after = watching.runs.values()
    assert (before, after, callbacks[-1]._run) == (None, None, None)
    assert during[0] is not None
    assert all(run is during[0] for run in during)  # one, from the start to the end
    assert watching.folders == {tmp_path.resolve()}
    assert lock._HELD == {}
    assert hooks_of(module) == 0


@pytest.mark.parametrize("hook", ["start", "batch of loader 0", "batch of loader 1", "end"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_dropped_where_the_loop_fails(tmp_path: Path, kind: type[RunCallback[Any]], hook: str) -> None:
    module = Foreign(make_vit(num_classes=4))
    callbacks = small_callbacks(tmp_path, kind)
    watching = Watching(callbacks[-1], fails_in=hook)
    with pytest.raises(ZeroDivisionError, match=hook):
        validate(module, [loader(DISCOVER), loader(HELD_OUT)], *callbacks, watching)
    assert watching.runs[hook] is not None
    assert [callback._run for callback in callbacks] == [None] * len(callbacks)
    assert lock._HELD == {}
    assert hooks_of(module) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_callback_leaves_the_training_of_others_alone(tmp_path: Path, kind: type[RunCallback[Any]]) -> None:
    module = Foreign(make_vit(num_classes=4).train())
    callbacks = small_callbacks(tmp_path, kind)
    watching = Watching(callbacks[-1])
    trainer = make_trainer(*callbacks, watching, max_epochs=1)
    trainer.fit(module, loader(DISCOVER), [loader(DISCOVER), loader(HELD_OUT)])
    assert set(watching.runs.values()) == {None}
    assert list(tmp_path.iterdir()) == []


def test_a_validate_opens_the_model_a_few_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for the search, whose run the others share; a report opens it for its pictures and for its page."""
    opened: list[Any] = []
    real = registry._only_candidate

    def look(model: Any, name: str | None) -> Any:
        opened.append(model)
        return real(model, name)

    monkeypatch.setattr(registry, "_only_candidate", look)
    monkeypatch.setattr("nplight.callbacks.report.write_report", lambda folder, _: folder)  # slow, and without a model
    module = Foreign(make_vit(num_classes=4))
    report = PathReport(run_dir=tmp_path, per_category=1, per_neuron=1)
    callbacks = small_callbacks(tmp_path, PathEvaluation, PathSelectivity)
    validate(module, [loader(DISCOVER), loader(HELD_OUT)], *callbacks, report)
    assert 1 <= len(opened) <= 3  # of four discover batches and two held-out ones
