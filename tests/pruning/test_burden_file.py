from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nplight.errors import ArgumentError
from nplight.pruning.burden_file import read_loads, write_loads


def test_loads_are_read_as_they_were_written(tmp_path: Path) -> None:
    loads = {epoch: [torch.rand(width) for width in range(3, 15)] for epoch in (0, 2, 11)}
    write_loads(tmp_path / "loads", loads)
    found = read_loads(tmp_path / "loads")
    assert list(found) == [0, 2, 11]
    assert all(all(map(torch.equal, found[epoch], loads[epoch])) for epoch in loads)


@pytest.mark.parametrize("content", [None, b"", b"no safetensors"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "loads").write_bytes(content)
    with pytest.raises(ArgumentError, match=r"`twin` must be 'before' or the run folder .* cannot be read"):
        read_loads(tmp_path / "loads")
