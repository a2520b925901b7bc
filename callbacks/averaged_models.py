"""The averaged copies of a model that other callbacks of a Trainer keep."""

from __future__ import annotations

from lightning.pytorch import Callback, Trainer
from torch.optim.swa_utils import AveragedModel


def averaged_models(trainer: Trainer) -> list[tuple[Callback, AveragedModel]]:
    """Every callback that keeps an `AveragedModel`, as Lightning's `WeightAveraging` does, and its copy."""
    callbacks: list[Callback] = getattr(trainer, "callbacks", [])
    return [
        (callback, value)
        for callback in callbacks
        for value in vars(callback).values()
        if isinstance(value, AveragedModel)
    ]
