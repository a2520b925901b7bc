from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nplight.errors import RunFolderError
from nplight.store import RowLookup, RunFolder, read_paths, row_lookup, write_part
from tests.store.samples import batch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Parts of unequal sizes, of images in no order."""
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    for number, index in enumerate(order.split([7, 20, 13])):
        write_part(
            RunFolder(tmp_path),
            batch(len(index), seed=number),
            index=index,
            files=[str(one) for one in index.tolist()],
            labels=None,
            checksums=(index + 1000).tolist(),
            search="jas",
        )
    return tmp_path


@pytest.mark.parametrize("in_memory", [1, 16])
def test_rows_are_those_of_the_table_in_any_order(
    folder: Path, in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_lookup, "_PARTS_IN_MEMORY", in_memory)
    table = read_paths(folder)
    lookup, index = RowLookup(table, ["neurons", "score"]), torch.tensor([31, 0, 39, 5, 5, 17])
    found = lookup.of(index, index + 1000)
    for column in ("neurons", "score"):
        assert torch.equal(found[column], torch.as_tensor(table[column])[index])
    assert len(lookup._parts) <= in_memory


def test_missing_images_and_others_under_their_numbers_are_refused(folder: Path) -> None:
    lookup = RowLookup(read_paths(folder), ["neurons"])
    with pytest.raises(RunFolderError, match="no paths are stored for the images 40, 99"):
        lookup.of(torch.tensor([3, 40, 99]), torch.tensor([1003, 1040, 1099]))
    with pytest.raises(RunFolderError, match="the paths stored for the images 4 are of other images"):
        lookup.of(torch.tensor([3, 4]), torch.tensor([1003, 7]))
