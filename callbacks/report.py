"""Write the report of a Lightning run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rich
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from nplight.callbacks.about import about_run
from nplight.callbacks.data_settings import data_shard
from nplight.callbacks.path_evaluation import PathEvaluation
from nplight.callbacks.path_sample import SampleCallback
from nplight.callbacks.path_search import NeuronPathSearch
from nplight.callbacks.path_selectivity import PathSelectivity
from nplight.callbacks.progress import stage
from nplight.callbacks.run_folders import run_folder
from nplight.callbacks.siblings import search_of
from nplight.callbacks.vit_callback import ViTCallback
from nplight.data import ImageBatch
from nplight.errors import ArgumentError, check_at_least, listed
from nplight.paths import CategoryPaths
from nplight.processes import objects_of_processes, on_first_process
from nplight.report import Gallery, log_figures, read_run, write_report
from nplight.report.run_data import discard_damaged, read_about
from nplight.store import RunFolder
from nplight.store.file_names import ABOUT, PICTURES
from nplight.vit import OpenViT


@dataclass(slots=True)
class _Recording:
    """What a report gathers while the loop lasts.

    Attributes:
        read: reads the loop's batches.
        gallery: the pictures, from the first batch on.
        began: by the monotonic clock, seconds.
    """

    read: Callable[[Any], ImageBatch]
    gallery: Gallery | None = None
    began: float = field(default_factory=time.monotonic)


class PathReport(ViTCallback):
    """Writes `report.html`, a page to look at, into the run folder when `validate`, `test` or `predict` ends.

    While held-out images pass it keeps a bounded number of thumbnails of them in `pictures.json`, and it writes
    what the other files do not tell, the names of the categories among it, to `run.json`; from these
    `python train.py report RUN` makes the page again. It stands after the callbacks whose results it shows, and hands
    its figures to the loggers that take any.

    Args:
        per_category: thumbnails of a category; with 0 of both no pictures are kept.
        per_neuron: thumbnails of the images that drive a neuron most.
        most_neurons: neurons of the category paths that have such thumbnails.
        size: longer edge of a thumbnail, pixels.
        run_dir: where the results are; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule; `None`: that of the other callbacks,
            else the only one there is.

    Raises:
        ArgumentError: an argument is wrong.

    Examples:
        >>> from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathReport
        >>> callbacks = [NeuronPathSearch(), PathEvaluation(), PathReport(per_category=2)]
    """

    def __init__(
        self,
        *,
        per_category: int = 4,
        per_neuron: int = 9,
        most_neurons: int = 240,
        size: int = 64,
        run_dir: str | Path | None = None,
        vit: str | None = None,
    ) -> None:
        for name, value in (("per_category", per_category), ("per_neuron", per_neuron), ("most_neurons", most_neurons)):
            check_at_least(name, value, 0)
        check_at_least("size", size, 1)
        self.per_category = per_category
        self.per_neuron = per_neuron
        self.most_neurons = most_neurons
        self.size = size
        self.run_dir = run_dir
        self.vit = vit
        self._recording: _Recording | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._recording = None
        if not _reports(trainer):
            return
        callbacks: list[Callback] = getattr(trainer, "callbacks", [])
        kinds = (NeuronPathSearch, PathEvaluation, PathSelectivity, SampleCallback)
        results = [callback for callback in callbacks if isinstance(callback, kinds)]
        if not results:
            raise ArgumentError(
                "PathReport needs a NeuronPathSearch or PathEvaluation in the same Trainer to report of"
            )
        late = [type(other).__name__ for other in results if callbacks.index(other) > callbacks.index(self)]
        if late:
            raise ArgumentError(f"PathReport must stand after {late[0]} among the callbacks, whose results it shows")
        folders = dict.fromkeys(other.folder for other in results)
        if self.folder not in folders:
            raise ArgumentError(
                f"PathReport must share `run_dir` with the callbacks whose results it shows, {listed(folders)}, "
                f"got {self.folder}"
            )
        self._recording = _Recording(results[0].read)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if dataloader_idx == 1:
            self._gather(trainer, pl_module, batch)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: int
    ) -> None:
        self._gather(trainer, pl_module, batch)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._recording is not None:
            self._write(trainer, pl_module, self._recording)

    on_test_end = on_validation_end
    on_predict_end = on_validation_end

    def _gather(self, trainer: Trainer, pl_module: LightningModule, batch: Any) -> None:
        recording = self._recording
        if recording is None or not (self.per_category or self.per_neuron):
            return
        images = recording.read(batch)
        if images.labels is None:
            return
        if recording.gallery is None:
            recording.gallery = self._new_gallery(trainer, self.open_vit(trainer, pl_module))
        if recording.gallery is not None:
            with trainer.precision_plugin.forward_context():
                recording.gallery.update(images)

    def _new_gallery(self, trainer: Trainer, vit: OpenViT) -> Gallery | None:
        paths = _category_paths(trainer, self)
        preprocessing = getattr(getattr(trainer, "datamodule", None), "preprocessing", None)
        if paths is None:
            return None
        return Gallery(
            vit,
            paths,
            per_category=self.per_category,
            per_neuron=self.per_neuron,
            most_neurons=self.most_neurons,
            size=self.size,
            mean=getattr(preprocessing, "mean", None),
            std=getattr(preprocessing, "std", None),
        )

    def _write(self, trainer: Trainer, pl_module: LightningModule, recording: _Recording) -> None:
        folder = run_folder(trainer, self.run_dir)
        gallery = _merged(recording.gallery)
        about = about_run(trainer, self.open_vit(trainer, pl_module), time.monotonic() - recording.began)

        def write() -> Path:
            discard_damaged(folder.path)
            # A run that had nothing left to do would give its own short time, and not that of the work.
            known, ignored = read_about(folder.path), dict.fromkeys(("seconds", "command"))
            if {**about, **ignored} != {**known, **ignored}:
                folder.write(ABOUT, json.dumps(about, indent=2) + "\n")
            if gallery is not None:
                folder.write(PICTURES, json.dumps(gallery.to_dict()) + "\n")
            # Only now, as what is replaced may be damaged.
            with stage(trainer, "Reading paths", total=read_run(folder.path).rows, each=1) as advance:
                return write_report(folder.path, advance)

        path = on_first_process(write)
        if trainer.is_global_zero:
            log_figures(trainer.loggers, read_run(folder.path), step=trainer.global_step)
            rich.get_console().print(f"Report: {path}", soft_wrap=True, highlight=False)


def _merged(gallery: Gallery | None) -> Gallery | None:
    """The pictures of all processes, for the first of them; every process must call it."""
    pictures = None if gallery is None else (gallery.grid, gallery.samples, gallery.drivers)
    counts = None if gallery is None else gallery.histograms.counts
    shares = objects_of_processes((pictures, counts))
    if gallery is not None and len(shares) > 1:
        gallery.histograms.counts = torch.stack([share for _, share in shares if share is not None]).sum(0)
        for share, _ in shares:
            if share is not None:
                gallery.merge(*share)
    return gallery


def _category_paths(trainer: Trainer, report: PathReport) -> CategoryPaths | None:
    """Those of the main search, of the size that is removed and enhanced."""
    search = search_of(trainer, report)
    if search is not None:
        sizes, top_k = search.category_paths[search.settings.names[0]], search.settings.top_k
    else:
        evaluations = [other for other in getattr(trainer, "callbacks", []) if isinstance(other, PathEvaluation)]
        folder = next((evaluation.paths for evaluation in evaluations if evaluation.paths is not None), None)
        if folder is None:
            return None
        paths, top_k = RunFolder(folder).read_category_paths()
        sizes = next(iter(paths.values()))
    return sizes[min(top_k, max(sizes))]


def _reports(trainer: Trainer) -> bool:
    commands = (TrainerFn.VALIDATING, TrainerFn.TESTING, TrainerFn.PREDICTING)
    return trainer.state.fn in commands and not trainer.sanity_checking and data_shard(trainer) is None
