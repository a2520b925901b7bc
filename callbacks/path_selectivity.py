"""Test every category under every category's path inside a Lightning run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from nplight.callbacks.common import (
    check_validation_loaders,
    claim_held_out,
    on_first_process,
    over_processes,
    refuse_no_images,
    run_folder,
)
from nplight.callbacks.path_evaluation import image_keys, search_of
from nplight.callbacks.vit_callback import ViTCallback
from nplight.data import ImageDigest, batch_reader
from nplight.errors import ArgumentError, check_at_least
from nplight.metrics import Selectivity, SelectivityMatrix, SelectivitySummary, path_predictions, selectivity_summary
from nplight.paths import CategoryPaths
from nplight.report.terminal_tables import selectivity_table
from nplight.results import selectivity_to_dict
from nplight.store import RunFolder
from nplight.store.file_names import SELECTIVITY


class PathSelectivity(ViTCallback):
    """Measures whether the path of a category serves that category more than others.

    In `validate` it runs each image of the second loader (the held-out split) once under the path of every category,
    all other neurons pruned to zero: as many forward passes as there are categories. Writes `selectivity.json` and
    prints the accuracy under an image's own path and under the others.

    Args:
        search: the name of the search whose paths are tested; `None`: the first.
        kept: neurons a layer of the paths, a size that was searched.
        replicates: of the bootstrap over images that gives every measure its 95% interval.
        read_batch: what turns the project's batches into ones that `nplight.data.read_batch` takes: a function, or its
            dotted name; `None`: they are such.
        run_dir: where results go; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule; `None`: that of the other callbacks,
            else the only one there is.

    Attributes:
        matrix: the result, once the run has ended.

    Raises:
        ArgumentError: an argument is wrong.
    """

    def __init__(
        self,
        *,
        search: str | None = None,
        kept: int = 1,
        replicates: int = 1000,
        read_batch: str | Callable[[Any], Any] | None = None,
        run_dir: str | Path | None = None,
        vit: str | None = None,
    ) -> None:
        check_at_least("kept", kept, 1)
        check_at_least("replicates", replicates, 0)
        self.search = search
        self.kept = kept
        self.replicates = replicates
        self.read = batch_reader(read_batch)
        self.run_dir = run_dir
        self.vit = vit
        self.matrix: SelectivityMatrix | None = None

    @property
    def state_key(self) -> str:
        return self._generate_state_key(run_dir=str(self.run_dir), vit=self.vit, search=self.search, kept=self.kept)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if not _tests(trainer):
            return
        self.refuse_double(trainer)
        search = search_of(trainer, self)
        if search is None:
            raise ArgumentError("PathSelectivity needs a NeuronPathSearch in the same Trainer, whose paths it tests")
        names = [one.name for one in search.searches]
        if self.search is not None and self.search not in names:
            raise ArgumentError(f"`search` must be one of {', '.join(names)}, got {self.search!r}")
        if self.kept not in (search.top_k, *search.kept):
            raise ArgumentError(
                f"`kept` must be a size that NeuronPathSearch forms paths of, one of {(search.top_k, *search.kept)}, "
                f"got {self.kept}"
            )
        self._name = self.search or names[0]

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if _tests(trainer):
            check_validation_loaders(trainer, self, held_out=True)
            num_classes = self.open_vit(trainer, pl_module).num_classes
            self._metric = Selectivity(num_classes, replicates=self.replicates).to(pl_module.device)
            self._images = ImageDigest()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if not _tests(trainer) or dataloader_idx != 1:
            return
        found = self.read(batch)
        if found.labels is None:
            raise ArgumentError("the batch must have labels to test paths with, got images alone")
        vit = self.open_vit(trainer, pl_module)
        vit.check_targets(found.labels, len(found), "labels")
        with trainer.precision_plugin.forward_context():
            predicted = path_predictions(vit, found.images, self._paths(trainer))
        keys = image_keys(found.images)
        self._images.update(found.index, found.labels, keys)
        self._metric.update(torch.arange(len(predicted)), predicted, found.labels, keys)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not _tests(trainer):
            return
        run, images = run_folder(trainer, self.run_dir), over_processes(trainer, self._images)
        refuse_no_images(self, images)
        on_first_process(trainer, lambda: _settle(run, images))
        matrix: SelectivityMatrix = self._metric.compute()
        self.matrix = matrix
        summary = selectivity_summary(matrix)
        content = {"search": self._name, "kept": self.kept, **selectivity_to_dict(matrix, summary)}
        on_first_process(trainer, lambda: run.write(SELECTIVITY, json.dumps(content) + "\n"))
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.log_metrics(_scalars(summary), step=trainer.global_step)
            rich.get_console().print(selectivity_table(summary, self._name, self.kept))

    def _paths(self, trainer: Trainer) -> CategoryPaths:
        search = search_of(trainer, self)
        assert search is not None
        sizes = search.category_paths[self._name]
        return sizes[min(self.kept, max(sizes))]


def _settle(run: RunFolder, images: ImageDigest) -> None:
    with run:
        claim_held_out(run, images)


def _scalars(summary: SelectivitySummary) -> dict[str, float]:
    return {f"paths/selectivity/{name}": getattr(summary, name).value for name in ("own", "others", "difference")}


def _tests(trainer: Trainer) -> bool:
    return trainer.state.fn == TrainerFn.VALIDATING and not trainer.sanity_checking
