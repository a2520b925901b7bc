from __future__ import annotations

from pathlib import Path

import pytest
import torch

import nplight
from nplight.data import ImageBatch
from nplight.errors import ArgumentError, NonFiniteError, RunFolderError
from nplight.runs.image_rows import ImageRows
from nplight.searching import ImageSearch, SearchOptions
from nplight.seeds import checksums
from nplight.store import RunFolder, stored_images
from tests.runs.conftest import Halves


def image_rows(folder: RunFolder) -> ImageRows:
    image_search = ImageSearch("jas", "jas", SearchOptions(steps=2), (1,))
    return ImageRows(folder, image_search, stored_images(folder, "jas", None), None)


def test_only_images_that_are_not_stored_are_searched(halves: Halves, tmp_path: Path) -> None:
    folder, (first, second, *_) = RunFolder(tmp_path), halves.batches(0)
    image_rows(folder).search(halves.vit, first, checksums(first.images), predicted=False)
    both = ImageBatch(*(torch.cat(pair) for pair in zip(*(
        (batch.images, batch.labels, batch.index) for batch in (first, second)))))  # fmt: skip
    sizes = []

    def find(new: ImageBatch) -> nplight.PathBatch:
        sizes.append(len(new))
        return nplight.search(halves.vit, new.images, new.labels, steps=2)

    image_rows(folder).write_new(both, checksums(both.images), find)
    assert sizes == [len(second)]
    table = nplight.read_paths(tmp_path)
    assert both.index is not None
    assert table["index"].tolist() == both.index.tolist()
    expected = nplight.search(halves.vit, both.images, both.labels, steps=2)
    assert torch.equal(torch.as_tensor(table["neurons"]), expected.neurons)


def test_what_would_be_stored_wrongly_is_refused(halves: Halves, tmp_path: Path) -> None:
    folder, batch = RunFolder(tmp_path), next(halves.batches(0)).select(torch.arange(3))
    sums = checksums(batch.images)
    image_rows(folder).search(halves.vit, batch, sums, predicted=False)
    with pytest.raises(RunFolderError, match="already holds paths of other images under the numbers 0, 2, 4"):
        image_rows(folder).search(halves.vit, batch, [value ^ 1 for value in sums], predicted=False)
    twice = ImageBatch(batch.images[:2], batch.labels, torch.tensor([6, 6]))
    with pytest.raises(ArgumentError, match="must number each image of a batch differently, got 6, 6"):
        image_rows(folder).search(halves.vit, twice, sums[:2], predicted=False)
    with pytest.raises(ArgumentError, match="must have the `index` of each image"):
        image_rows(folder).search(halves.vit, ImageBatch(batch.images), sums, predicted=True)
    broken = ImageBatch(batch.images * torch.nan, batch.labels, torch.arange(90, 93), ("a.png", "b.png", "c.png"))
    with pytest.raises(NonFiniteError, match=r"a\.png"):
        image_rows(folder).search(halves.vit, broken, sums, predicted=False)
