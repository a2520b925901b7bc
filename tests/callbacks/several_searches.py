"""Several searches in one run of the reference images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from nplight.callbacks import NeuronPathSearch, PathEvaluation
from tests.callbacks.foreign_project import OPTIONS, Foreign, make_trainer
from tests.conftest import Reference

METHODS: list[Any] = [
    "jas",
    "activation",
    "random",
    {"name": "jointly", "method": "jas", "granularity": "category"},
    {"name": "anew", "method": "jas", "search_per_t": True},
]


def compare(
    reference: Reference, loaders: list[DataLoader[Any]], folder: Path, methods: list[Any] = METHODS, **options: Any
) -> tuple[NeuronPathSearch, PathEvaluation, Trainer]:
    search = NeuronPathSearch(run_dir=folder, methods=methods, **OPTIONS)
    settings = {"fractions": (0.5, 1.0), "replicates": 50, "draws": 3}
    trainer_options = {name: options.pop(name) for name in list(options) if name not in ("fill", "tokens", "overwrite")}
    search.overwrite = options.get("overwrite", False)
    evaluation = PathEvaluation(run_dir=folder, **{**settings, **options})
    trainer = make_trainer(search, evaluation, **trainer_options)
    trainer.validate(Foreign(reference.model), loaders, verbose=False)
    return search, evaluation, trainer
