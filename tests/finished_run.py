"""A finished run with everything a report can show."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Subset, TensorDataset

from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathReport, PathSanity, PathSelectivity, PathStability
from tests.callbacks.foreign_project import Foreign, make_trainer
from tests.conftest import read_reference


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two searches of the reference images, evaluated, with pictures."""
    folder = tmp_path_factory.mktemp("finished")
    reference = read_reference("class_token")
    data = TensorDataset(reference.images, reference.labels, torch.arange(80))
    loaders = [DataLoader(Subset(data, range(part, 80, 2)), batch_size=16) for part in (0, 1)]
    callbacks = [
        NeuronPathSearch(run_dir=folder, methods=["jas", "random"], steps=2, kept=(1, 4)),
        PathEvaluation(run_dir=folder, fractions=(0.5, 1.0), replicates=50, draws=3),
        PathSelectivity(run_dir=folder, replicates=50),
        PathStability(run_dir=folder, perturbations=["noise", "jpeg"], images=20, mean=[0.5] * 3, std=[0.5] * 3),
        PathSanity(run_dir=folder, images=20),
        PathReport(run_dir=folder),
    ]
    make_trainer(*callbacks).validate(Foreign(reference.model), loaders, verbose=False)
    return folder
