"""What nplight takes of Lightning's and torch's private names does what it is taken for."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule
from lightning.pytorch.callbacks import RichProgressBar
from rich.progress import Progress, TaskID
from torch import distributed
from torch.utils.data import DataLoader

from nplight.callbacks.lightning_private import (
    OpenProgressBar,
    another_iteration,
    before_transfer,
    process_group_store,
    set_sigterm_received,
    sigterm_handlers,
)
from tests.callbacks.foreign_project import Foreign, make_trainer
from tests.callbacks.small_runs import DISCOVER, loader
from tests.conftest import make_vit


@pytest.fixture
def handler_of_sigterm() -> Iterator[None]:
    """The one before the test is the one after it."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_the_flag_is_the_one_that_lightnings_loops_look_at() -> None:
    trainer = make_trainer()
    assert not trainer.received_sigterm
    set_sigterm_received(trainer)
    assert trainer.received_sigterm


@pytest.mark.usefixtures("handler_of_sigterm")
def test_of_the_handlers_of_sigterm_all_but_the_one_with_a_collective_are_kept() -> None:
    def former(*_: Any) -> None: ...

    trainer: Any = make_trainer()
    assert sigterm_handlers(trainer) == []
    signal.signal(signal.SIGTERM, former)
    trainer._signal_connector.register_signal_handlers()
    assert sigterm_handlers(trainer) == [former]
    trainer._signal_connector.teardown()


def test_the_store_is_that_of_the_process_group() -> None:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        store = process_group_store()
        store.set("key", "value")
        assert store.get("key") == b"value"
    finally:
        distributed.destroy_process_group()


class Transfer:
    """A module or data module that writes down the batches before they are moved."""

    seen: list[Any]

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        self.seen = [*getattr(self, "seen", []), dataloader_idx]
        return batch


class Module(Transfer, Foreign): ...


class Data(Transfer, LightningDataModule):
    def val_dataloader(self) -> Any:
        return loader(DISCOVER)


@pytest.mark.parametrize("chosen", ["module", "data module"])
def test_the_hook_before_a_transfer_is_the_one_that_lightning_chose(chosen: str) -> None:
    seen: list[int] = []

    class Again(Callback):
        def on_validation_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
            seen.append(before_transfer(pl_module, batch) is batch)

    data = Data()
    owner: Any = Module(make_vit(num_classes=4)) if chosen == "module" else data
    module = owner if chosen == "module" else Foreign(make_vit(num_classes=4))
    loaders: Any = loader(DISCOVER) if chosen == "module" else data
    make_trainer(Again(), limit_val_batches=2).validate(module, loaders, verbose=False)
    assert seen == [True, True]
    assert owner.seen == [0, 0, 0, 0]  # Lightning's own call and this one, per batch


def test_an_iteration_beside_lightnings_has_workers_of_its_own() -> None:
    data: Any = DataLoader(torch.arange(6), batch_size=2)
    data._iterator = "Lightning's"
    other = another_iteration(data)
    assert (other.dataset, other._iterator) == (data.dataset, None)
    assert data._iterator == "Lightning's"
    batches = [1, 2]
    assert another_iteration(batches) is batches


class Bar(OpenProgressBar):
    events: list[Any]

    def started(self, progress: Progress) -> None:
        self.events = ["started"]

    def updated(self, progress: Progress, task: TaskID) -> None:
        self.events.append((task, progress.tasks[task].completed))


def test_a_bar_moves_where_lightning_has_fewer_settings_of_its_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning 2.5.0 calls it as `_update(task, done)`, and knows no `hard`."""
    calls: list[Any] = []

    def update(self: RichProgressBar, progress_bar_id: TaskID | None, current: int, visible: bool = True) -> None:
        calls.append((progress_bar_id, current, visible))

    monkeypatch.setattr(RichProgressBar, "_update", update)
    bar = Bar()
    bar.set_done(TaskID(3), 2)
    bar._update(TaskID(3), 4, visible=False)
    assert calls == [(3, 2, True), (3, 4, False)]


def test_a_bar_for_a_stage_outside_lightnings_loops_starts_and_moves(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar()
    trainer = make_trainer(bar, enable_progress_bar=True)
    bar.setup(trainer, Foreign(make_vit()), "validate")
    task = bar.new_task("Stage", 4)
    assert task is not None
    bar.set_done(task[1], 3)
    assert bar.events == ["started", (task[1], 3)]
    bar.teardown(trainer, Foreign(make_vit()), "validate")
    assert bar.loader_number == 0
    hidden = Bar()
    hidden._trainer = trainer
    hidden.disable()
    assert hidden.new_task("Stage", 4) is None
    capsys.readouterr()
