"""A loader that knows how long it was waited for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

_END = object()


class TimedLoader(DataLoader[Any]):
    """A `DataLoader` that measures how long whoever iterates over it waits for batches."""

    _began = _waited = 0.0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self._began, self._waited = time.perf_counter(), 0.0
        batches = super().__iter__()
        while True:
            asked = time.perf_counter()
            batch = next(batches, _END)
            self._waited += time.perf_counter() - asked
            if batch is _END:
                return
            yield batch

    @property
    def waiting(self) -> float:
        """Share of the time since the iteration began that was spent waiting for batches, in [0, 1]."""
        return self._waited / max(time.perf_counter() - self._began, 1e-9) if self._began else 0.0
