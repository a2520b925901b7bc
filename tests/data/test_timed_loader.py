from __future__ import annotations

import time

import pytest
from torch.utils.data import Dataset

from nplight.data import DigitsDataModule
from nplight.data.timed_loader import TimedLoader

PAUSE = 0.02


class Slow(Dataset[int]):
    def __len__(self) -> int:
        return 6

    def __getitem__(self, position: int) -> int:
        time.sleep(PAUSE)
        return position


def test_time_in_the_loader_is_told_from_time_outside() -> None:
    loader = TimedLoader(Slow(), batch_size=2)
    assert loader.waiting == 0
    for _ in range(2):
        found = [batch.tolist() for batch in loader]
        assert found == [[0, 1], [2, 3], [4, 5]]
        assert loader.waiting > 0.9
    for _ in loader:
        time.sleep(20 * PAUSE)
    assert loader.waiting < 0.5


def test_data_modules_have_it() -> None:
    for loader in DigitsDataModule().val_dataloader():
        assert isinstance(loader, TimedLoader)
        assert loader.waiting == pytest.approx(0)
