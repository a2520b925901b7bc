from __future__ import annotations

from lightning.pytorch import Callback, Trainer
from torch import nn
from torch.optim.swa_utils import AveragedModel

from nplight.callbacks.averaged_models import averaged_models


class Average(Callback):
    def __init__(self) -> None:
        self.copied = AveragedModel(nn.Linear(1, 1))
        self.other = nn.Linear(1, 1)


def test_the_copies_of_all_callbacks_are_found() -> None:
    averages = [Average(), Average()]
    trainer = Trainer(
        callbacks=[averages[0], Callback(), averages[1]], accelerator="cpu", logger=False, enable_checkpointing=False
    )
    assert averaged_models(trainer) == [(average, average.copied) for average in averages]
