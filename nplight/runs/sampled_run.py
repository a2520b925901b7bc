"""A run that measures a sample of the discover images, once all of them have been searched."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from nplight.data import ImageBatch, ImageSample, SampledImages, labels_of, with_index
from nplight.errors import ArgumentError, RunFolderError, described, listed
from nplight.paths import PathBatch
from nplight.processes import objects_of_processes, on_first_process
from nplight.report.run_data import read_stored
from nplight.runs.context import RunContext
from nplight.runs.run import Run
from nplight.runs.search_run import SearchRun
from nplight.searching import ImageSearch
from nplight.seeds import checksums

BATCH = 32
"""Images that are measured together; results do not depend on it."""

Columns = dict[str, Tensor]
"""Values of images: (images, …) each."""

Advance = Callable[[int], None]
Progress = Callable[[int], AbstractContextManager[Advance]]


@contextmanager
def no_progress(total: int) -> Iterator[Advance]:
    """Shows nothing."""
    yield lambda images: None


class SampledRun(Run):
    """Measures a sample of images for every search of a run that searches image by image.

    A result that the run folder holds already is not measured again.

    Args:
        searched: the search run, whose folder takes the result.
        images: maximum number of images.
        searches: names of the searches that are measured; `None`: all that search image by image.
        seed: of the choice of images and of what is drawn.
        context: of the loop.
        settings: what else the result depends on, as plain values.

    Attributes:
        kind: name of the result, a field of `nplight.report.Run`.
        searches: the searches that are measured, by name.

    Raises:
        ArgumentError: `searches` names none, or others than the searches that search image by image.
        RunFolderError: the folder holds a result of other settings.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        searched: SearchRun,
        *,
        images: int,
        searches: Sequence[str] | None,
        seed: int,
        context: RunContext,
        settings: Mapping[str, Any],
    ) -> None:
        super().__init__(searched.vit, searched.folder)
        self.searched, self.seed, self.context = searched, seed, context
        self.searches = _image_searches(searched, searches)
        self._settings = {"images": images, "seed": seed, "searches": list(self.searches), **settings}
        self._sample = ImageSample(images, seed=seed)
        self._images = 0
        self._finished: dict[str, Any] = on_first_process(self._stored)

    @property
    def finished(self) -> bool:
        """Whether the run folder held the result when the run started."""
        return bool(self._finished)

    @abstractmethod
    def searches_per_image(self) -> int:
        """How often `measure` searches each image, over all searches."""

    @abstractmethod
    def measure(self, batches: Sequence[SampledImages], advance: Advance) -> Columns:
        """Measure a process's share of the sample, at least one image.

        Args:
            batches: of the images, on the device of the model.
            advance: called with a number of images after each search of them.

        Returns:
            The columns, in the order of the images.
        """

    @abstractmethod
    def result(self, columns: Columns) -> dict[str, Any]:
        """The result as plain values, from the columns of all processes in order of the images' index."""

    def update(self, batch: ImageBatch, loader: int = 0) -> None:
        """Offer the images of a batch to the sample.

        Args:
            batch: with labels, on the device of the model.
            loader: not used.

        Raises:
            ArgumentError: the batch lacks labels, or has labels that are not categories of the model.
        """
        labels = labels_of(batch, f"to measure the {self.kind} of paths with")
        self.vit.check_targets(labels, len(batch), "labels")
        numbered = with_index(batch, self._images)
        self._images += len(batch)
        if not self.finished:
            self.take(numbered, checksums(batch.images))

    def take(self, batch: ImageBatch, sums: Sequence[int]) -> None:
        """Offer the images of a batch, with labels and index, and their checksums to the sample."""
        if batch.labels is not None and batch.index is not None:
            self._sample.update(batch.images, batch.labels, batch.index, sums)

    def conclude(self, progress: Progress = no_progress) -> dict[str, Any]:
        """Measure the sample and write the result; every process must call it, also one without images.

        Args:
            progress: given the number of images to search in this process, makes the context that shows how many are
                done.

        Returns:
            The content of the file.

        Raises:
            ArgumentError: no process had an image.
            RunFolderError: the folder holds paths of other images, or cannot be written.
            NonFiniteError: NaN or infinite values appeared.
        """
        self.searched.conclude()
        if self.finished:
            return on_first_process(lambda: self._write(self._finished))
        share = self._sample.share()
        if share.total == 0:
            raise ArgumentError(f"the {self.kind} of paths must be given images to measure, but the loader gave none")
        columns: Columns = {}
        if len(share):
            with isolate_rng(), progress(len(share) * self.searches_per_image()) as advance:
                columns = {"index": share.index, "label": share.labels, **self.measure(self._batches(share), advance)}
        together = _joined(objects_of_processes(columns))
        return on_first_process(lambda: self._write({"settings": self._settings, **self.result(together)}))

    def paths(self, search: str, images: Tensor, targets: Tensor | None, advance: Advance) -> PathBatch:
        """The paths of images by a search, on the CPU; `targets=None`: for the predicted categories."""
        with self.context.forward_context():
            paths = self.searches[search].paths(
                self.vit, images, None if targets is None else targets.to(images.device)
            )
        advance(len(images))
        return paths.to("cpu")

    def targets(self, labels: Tensor) -> Tensor | None:
        """The targets of the run's searches: the labels, or `None` for the predicted categories."""
        return None if self.searched.settings.predicted else labels

    def _batches(self, share: SampledImages) -> list[SampledImages]:
        return list(share.split(BATCH, self.vit.down[0].linear.weight.device))

    def _stored(self) -> dict[str, Any]:
        self._claim()
        try:
            return read_stored(self.kind, self.folder.path)
        except RunFolderError:  # damaged: measured again
            return {}

    def _claim(self) -> None:
        self.folder.claim(f"evaluation {self.kind}", self._settings)

    def _write(self, content: dict[str, Any]) -> dict[str, Any]:
        # Once more: an evaluation that started later may have erased it, with --overwrite.
        self._claim()
        self.folder.write(f"{self.kind}.json", json.dumps(content, indent=1) + "\n")
        return content


def _image_searches(searched: SearchRun, names: Sequence[str] | None) -> dict[str, ImageSearch]:
    known = {
        search.name: search.image_searches(searched.sizes)[0]
        for search in searched.settings.searches
        if search.granularity == "image"
    }
    if not known:
        raise ArgumentError(
            f"`methods` must have a search with granularity 'image' to test paths of images, got "
            f"{listed(searched.names)} with granularity 'category'"
        )
    if names is None:
        return known
    if isinstance(names, str) or not names or any(name not in known for name in names):
        raise ArgumentError(
            f"`searches` must be names among {listed(known, 20)}, the searches with granularity 'image', "
            f"got {described(names)}"
        )
    return {name: known[name] for name in known if name in names}


def stacked(parts: Sequence[Columns]) -> Columns:
    """The columns of batches, one after the other."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _joined(shares: list[Columns]) -> Columns:
    """The columns of all processes in order of the images' index."""
    parts = [share for share in shares if share]
    columns = stacked(parts)
    order = columns["index"].argsort(stable=True)
    return {name: values[order] for name, values in columns.items()}
