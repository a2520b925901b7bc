"""Paths of the images whose predicted category is not their label, for the other of the two targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from nplight.data import ImageBatch
from nplight.processes import on_first_process
from nplight.results.read_out import PathRows, Rows
from nplight.runs.image_rows import ImageRows
from nplight.runs.search_run import SearchRun
from nplight.searching import ImageSearch
from nplight.store import PathTable, part_files, read_searches, stored_images
from nplight.vit import undisturbed

TARGETS = ("label", "prediction")


class OtherTargets:
    """Searches and stores what a search run lacks to have every image's path for its label and for its prediction.

    For an image whose predicted category is its label the two are one. The others are stored as rows of the search
    `SEARCH@prediction`, or `SEARCH@label` in a run that searches for predictions. Rows that are stored already are not
    searched again.

    Args:
        searched: the search run.
        searches: its searches of every image.
    """

    def __init__(self, searched: SearchRun, searches: Sequence[ImageSearch]) -> None:
        self._vit, self._folder = searched.vit, searched.folder
        self._target = TARGETS[searched.settings.predicted]
        self._other = TARGETS[not searched.settings.predicted]
        self._rows: list[ImageRows] = on_first_process(lambda: [self._image_rows(search) for search in searches])

    def search(self, batch: ImageBatch, sums: Sequence[int]) -> None:
        """Search the images of a batch whose predicted category is not their label.

        Args:
            batch: with labels and index, on the device of the model.
            sums: checksum of each image's pixels.
        """
        if batch.labels is None:
            return
        with undisturbed(self._vit.model), torch.no_grad():
            predictions = self._vit.forward(batch.images).argmax(1)
        differ = (predictions != batch.labels).nonzero().flatten().cpu()
        if len(differ):
            chosen = [sums[position] for position in differ.tolist()]
            for rows in self._rows:
                rows.search(self._vit, batch.select(differ), chosen, predicted=self._other == "prediction")

    def rows(self, search: str, target: str) -> Rows:
        """The paths of all images by a search for a target, one of `TARGETS`; read anew at each call.

        Every process must have stored its images.
        """
        table = read_searches(self._folder, [search])
        other = f"{search}@{self._other}"
        if target == self._target or not part_files(self._folder, other):
            return lambda: _paths(table)
        others = read_searches(self._folder, [other])
        replaced = torch.as_tensor(others["index"])

        def both() -> Iterator[PathRows]:
            yield from _paths(table, without=replaced)
            yield from _paths(others)

        return both

    def _image_rows(self, search: ImageSearch) -> ImageRows:
        name, digest = f"{search.name}@{self._other}", self._folder.search_fingerprint(search.name)
        stored = stored_images(self._folder, name, digest)
        return ImageRows(self._folder, replace(search, name=name), stored, digest)


def _paths(table: PathTable, without: Tensor | None = None) -> Iterator[PathRows]:
    for batch in table.batches(["index", "neurons", "target", "checksum"]):
        kept = slice(None) if without is None else ~torch.isin(batch["index"], without)
        yield PathRows(batch["neurons"][kept], batch["target"][kept], batch["checksum"][kept])
