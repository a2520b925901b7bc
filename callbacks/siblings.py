"""The other callbacks of a Trainer."""

from __future__ import annotations

from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn

from nplight.callbacks.path_search import NeuronPathSearch
from nplight.callbacks.vit_callback import ViTCallback
from nplight.errors import ArgumentError


def search_of(trainer: Trainer, callback: ViTCallback) -> NeuronPathSearch | None:
    """The search of the same Trainer with the callback's `vit`, and of several the one with its `run_dir` too.

    Returns:
        `None` where there is no search, and in `test` and `predict`.

    Raises:
        ArgumentError: there are searches, and not exactly one of them has these.
    """
    if trainer.state.fn not in (TrainerFn.VALIDATING, TrainerFn.FITTING):
        return None
    callbacks = getattr(trainer, "callbacks", [])
    searches = [other for other in callbacks if isinstance(other, NeuronPathSearch)]
    several = len(searches) > 1
    matching = [
        search
        for search in searches
        if (search.folder == callback.folder or not several) and search.vit_name(trainer) == callback.vit_name(trainer)
    ]
    if searches and len(matching) != 1:
        raise ArgumentError(
            f"{type(callback).__name__} must share {'`run_dir` and ' if several else ''}`vit` with exactly one "
            f"NeuronPathSearch of the Trainer, but it does with {len(matching)} of {len(searches)}"
        )
    return matching[0] if matching else None
