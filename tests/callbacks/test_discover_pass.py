from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch.utils.data import DataLoader, TensorDataset

from nplight.callbacks.discover_pass import discover_pass
from nplight.data import ImageBatch, read_batch
from tests.callbacks.foreign_project import Foreign, make_trainer
from tests.callbacks.small_runs import DISCOVER, HELD_OUT, loader
from tests.conftest import make_vit


class Again(Callback):
    """Calls a function with a discover pass, as the first held-out batch comes."""

    def __init__(self, use: Callable[[Any], Any]) -> None:
        self.use = use

    def on_validation_batch_start(self, *arguments: Any, **_: Any) -> None:
        trainer, pl_module, _, batch_idx, dataloader_idx = arguments
        if (dataloader_idx, batch_idx) == (1, 0):
            self.use(discover_pass(trainer, pl_module, read_batch, "Again"))


def validate(use: Callable[[Any], Any], discover: Any, **options: Any) -> None:
    trainer = make_trainer(Again(use), **options)
    trainer.validate(Foreign(make_vit(num_classes=4)), [discover, loader(HELD_OUT)], verbose=False)


@pytest.mark.parametrize(("limit", "images"), [(1.0, 8), (3, 6)])
def test_the_images_are_those_of_the_first_loader_within_its_limit(limit: Any, images: int) -> None:
    batches: list[ImageBatch] = []
    validate(batches.extend, loader(DISCOVER), limit_val_batches=limit)
    for number, column in enumerate(("images", "labels", "index")):
        expected = DISCOVER[number][:images]
        assert torch.equal(torch.cat([getattr(batch, column) for batch in batches]), expected)


@pytest.mark.parametrize("use", [list, next], ids=["to its end", "left early"])
@pytest.mark.filterwarnings("ignore:.*has shuffling enabled")
def test_the_loaders_generator_is_left_as_it_was(use: Callable[[Any], Any]) -> None:
    """Its next order of the images, in a training for example, must not depend on the callbacks."""
    states: dict[str, Any] = {}
    generator = torch.Generator().manual_seed(3)
    shuffled = DataLoader(TensorDataset(*DISCOVER), batch_size=2, shuffle=True, generator=generator)

    def look(batches: Any) -> None:
        before = generator.get_state()
        use(batches)
        if use is next:
            assert not torch.equal(generator.get_state(), before)  # else the test would test nothing
        batches.close()
        states["same"] = torch.equal(generator.get_state(), before)

    validate(look, shuffled)
    assert states == {"same": True}


def test_a_batch_is_prepared_as_lightning_prepares_it() -> None:
    class Prepared(Foreign):
        def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
            return [batch[0] + 1, *batch[1:]]

    batches: list[ImageBatch] = []
    single = (DISCOVER[0].float(), *DISCOVER[1:])
    trainer = make_trainer(Again(batches.extend), precision="64-true")
    trainer.validate(Prepared(make_vit(num_classes=4)), [loader(single), loader(HELD_OUT)], verbose=False)
    assert torch.equal(torch.cat([batch.images for batch in batches]), single[0].double() + 1)
