"""Whatever the batches, their order, the chunks and the interruptions: the same result."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

import nplight
from nplight.callbacks import NeuronPathSearch, PathEvaluation
from nplight.errors import RunFolderError
from tests.callbacks.digits_project import assert_same
from tests.callbacks.foreign_project import Foreign, make_trainer
from tests.conftest import make_vit

METHODS: list[Any] = ["jas", {"name": "jointly", "method": "jas", "granularity": "category"}]


class Stopping(NeuronPathSearch):
    """Fails after some batches."""

    stop: int | None = None

    def on_validation_batch_end(self, *arguments: Any, **options: Any) -> None:
        super().on_validation_batch_end(*arguments, **options)
        if arguments[4] + 1 == self.stop:
            raise KeyError("stopped")


def validate(
    parts: list[Dataset[Any]], run: Path, batch_size: int, chunk_size: int | None, stop: int | None = None
) -> None:
    search = Stopping(run_dir=run, methods=METHODS, steps=2, kept=(2,), chunk_size=chunk_size)
    search.stop = stop
    evaluation = PathEvaluation(run_dir=run, fractions=(0.5,), replicates=5, fill="peak")
    loaders = [DataLoader(part, batch_size=batch_size) for part in parts]
    make_trainer(search, evaluation).validate(Foreign(make_vit(num_classes=4)), loaders, verbose=False)


@settings(
    max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=9).map(lambda more: [0, 1, 2, 3, *more]),
    held_out=st.integers(1, 5),
    batch_size=st.integers(1, 14),
    chunk_size=st.none() | st.integers(1, 40),
    stop=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_the_result_depends_on_the_images_alone(
    labels: list[int], held_out: int, batch_size: int, chunk_size: int | None, stop: int, seed: int
) -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    count = len(labels) + held_out
    images = torch.randn(count, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    categories = torch.tensor(labels + labels[:1] * held_out)
    data = TensorDataset(images, categories, torch.arange(count) * 3)
    shuffled = np.random.default_rng(seed).permutation(len(labels)).tolist()
    last = list(range(len(labels), count))
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder) / "one", Path(folder) / "other"
        validate([Subset(data, range(len(labels))), Subset(data, last)], one, count, None)
        parts: list[Dataset[Any]] = [Subset(data, shuffled), Subset(data, last[::-1])]
        if stop * batch_size < len(labels):
            # Stopped in the middle of the search; then it goes on.
            with pytest.raises(KeyError, match="stopped"):
                validate(parts, other, batch_size, chunk_size, stop=stop)
        validate(parts, other, max(1, batch_size - 1), 1 if chunk_size is None else chunk_size + 1)
        assert_same(one, other)
        assert nplight.read_paths(other).where(search="jas")["index"].tolist() == [3 * i for i in range(len(labels))]


@pytest.mark.filterwarnings("ignore:Your `val_dataloader`'s sampler has shuffling")
def test_a_shuffled_loader_gives_the_same(tmp_path: Path) -> None:
    data = TensorDataset(torch.randn(8, 3, 8, 8, dtype=torch.float64), torch.arange(8) % 4, torch.arange(8))
    for run in ("plain", "shuffled"):
        search = NeuronPathSearch(run_dir=tmp_path / run, methods=METHODS, steps=2, kept=(2,))
        loader = DataLoader(data, batch_size=3, shuffle=run == "shuffled")
        make_trainer(search).validate(Foreign(make_vit(num_classes=4)), loader, verbose=False)
    assert_same(tmp_path / "plain", tmp_path / "shuffled")


def test_a_joint_path_of_fewer_images_is_not_mixed_with_that_of_more(tmp_path: Path) -> None:
    data = TensorDataset(torch.randn(12, 3, 8, 8, dtype=torch.float64), torch.arange(12) % 4, torch.arange(12))

    def run(batches: int, method: Any) -> None:
        search = NeuronPathSearch(run_dir=tmp_path / str(method)[:3], methods=[method], steps=2, kept=(2,))
        loader = DataLoader(Subset(data, range(4 * batches)), batch_size=4)
        make_trainer(search).validate(Foreign(make_vit(num_classes=4)), loader, verbose=False)

    for method in METHODS:
        run(2, method)
    # Image by image nothing depends on the others, and the search goes on.
    run(3, METHODS[0])
    reason = r"already holds a run with other settings \(images: 8, digest \w+ there, 12, digest \w+ now\)"
    with pytest.raises(RunFolderError, match=reason):
        run(3, METHODS[1])
