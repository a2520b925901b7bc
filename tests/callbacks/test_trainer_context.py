from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch.utils.data import DataLoader, TensorDataset

import nplight
from nplight.callbacks.trainer_context import trainer_context
from nplight.data import read_batch
from nplight.runs import RunContext
from tests.callbacks.foreign_project import Foreign, make_trainer, search_and_evaluate
from tests.callbacks.small_runs import DISCOVER, HELD_OUT, loader
from tests.conftest import Reference, make_vit


def test_half_precision_runs_and_scores_in_float32(
    reference: Reference, loaders: list[DataLoader[Any]], tmp_path: Path
) -> None:
    reference.model.float()
    for half in loaders:
        half.dataset.dataset = TensorDataset(reference.images.float(), reference.labels, torch.arange(80))
    _, evaluation = search_and_evaluate(reference, loaders, tmp_path, precision="bf16-mixed")
    assert nplight.read_paths(tmp_path)["score"].dtype == torch.float32
    clean = (reference.expected["logits"].argmax(1) == reference.labels)[loaders[1].dataset.indices]
    assert evaluation.results[0].value("accuracy") == pytest.approx(clean.float().mean().item(), abs=0.051)


class Contexts(Callback):
    """Keeps the context of every loop in which a batch comes."""

    def __init__(self) -> None:
        self.contexts: list[RunContext] = []

    def on_validation_batch_start(self, trainer: Any, pl_module: Any, *more: Any) -> None:
        loader = more[2] if len(more) > 2 else 0
        identity = {"folder": "digits"} if loader == 0 else None
        self.contexts.append(trainer_context(trainer, pl_module, read_batch, loader=loader, identity=identity))

    on_test_batch_start = on_predict_batch_start = on_validation_batch_start


def test_a_run_in_validate_knows_its_loader_and_has_a_discover_pass() -> None:
    callback = Contexts()
    trainer = make_trainer(callback, limit_val_batches=2, precision="bf16-mixed")
    trainer.validate(Foreign(make_vit(num_classes=4)), [loader(DISCOVER), loader(HELD_OUT)], verbose=False)
    discover, *_, held_out = callback.contexts
    # All of the held-out batches come, and a part of the others.
    assert discover.data == {"folder": "digits", "limit_val_batches": "2 batches of 2 images on 1 process"}
    assert held_out.data == {}
    assert discover.precision == "bf16-mixed"
    assert discover.discover_pass is not None
    with discover.forward_context():
        assert torch.is_autocast_enabled("cpu")
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("command", ["test", "predict"])
def test_a_run_in_another_command_has_no_discover_pass(command: str) -> None:
    callback = Contexts()
    trainer = make_trainer(callback)
    getattr(trainer, command)(Foreign(make_vit(num_classes=4)), loader(HELD_OUT))
    assert [context.discover_pass for context in callback.contexts] == [None, None]
    assert [context.skipped for context in callback.contexts] == [(), ()]
