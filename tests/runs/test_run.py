from __future__ import annotations

from pathlib import Path

import pytest

from nplight.data import ImageBatch
from nplight.runs import Run
from nplight.store import RunFolder
from tests.runs.conftest import Halves


class Idle(Run):
    def update(self, batch: ImageBatch, loader: int = 0) -> None:
        raise KeyError(loader)


def test_the_folder_is_released_when_the_run_ends_however_it_ends(halves: Halves, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.claim("search", {})
    assert (tmp_path / ".lock").read_text()
    run, batch = Idle(halves.vit, folder), next(halves.batches(0))
    with pytest.raises(KeyError), run:
        run.update(batch)
    assert not (tmp_path / ".lock").read_text()
    run.release()
