"""Write the report of a Lightning run."""

from __future__ import annotations

import json
import shlex
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import rich
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from nplight.callbacks.common import on_first_process, run_folder
from nplight.callbacks.path_evaluation import PathEvaluation, search_of
from nplight.callbacks.path_search import NeuronPathSearch
from nplight.callbacks.path_selectivity import PathSelectivity
from nplight.callbacks.progress import stage
from nplight.callbacks.vit_callback import ViTCallback
from nplight.errors import ArgumentError, check_at_least, listed
from nplight.paths import CategoryPaths
from nplight.report import Gallery, log_figures, read_run, write_report
from nplight.report.run_data import discard_damaged, read_about
from nplight.store import RunFolder
from nplight.store.file_names import ABOUT, PICTURES
from nplight.vit import OpenViT

_LIBRARIES = ("nplight", "torch", "lightning", "timm", "torchmetrics")


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
    """

    def __init__(
        self,
        *,
        per_category: int = 4,
        per_neuron: int = 4,
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

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if not _reports(trainer):
            return
        callbacks: list[Callback] = getattr(trainer, "callbacks", [])
        results = [one for one in callbacks if isinstance(one, (NeuronPathSearch, PathEvaluation, PathSelectivity))]
        if not results:
            raise ArgumentError(
                "PathReport needs a NeuronPathSearch or PathEvaluation in the same Trainer to report of"
            )
        late = [type(one).__name__ for one in results if callbacks.index(one) > callbacks.index(self)]
        if late:
            raise ArgumentError(f"PathReport must stand after {late[0]} among the callbacks, whose results it shows")
        folders = dict.fromkeys(one.folder for one in results)
        if self.folder not in folders:
            raise ArgumentError(
                f"PathReport must share `run_dir` with the callbacks whose results it shows, {listed(folders)}, "
                f"got {self.folder}"
            )
        self._read = results[0].read
        self._started = time.monotonic()
        self._gallery: Gallery | None = None

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if _reports(trainer) and dataloader_idx == 1:
            self._gather(trainer, pl_module, batch)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._gather(trainer, pl_module, batch)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if _reports(trainer):
            self._finish(trainer, pl_module)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._finish(trainer, pl_module)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._finish(trainer, pl_module)

    def _gather(self, trainer: Trainer, pl_module: LightningModule, batch: Any) -> None:
        found = self._read(batch)
        if found.labels is None or not (self.per_category or self.per_neuron):
            return
        if self._gallery is None:
            self._gallery = self._new_gallery(trainer, self.open_vit(trainer, pl_module))
        if self._gallery is not None:
            with trainer.precision_plugin.forward_context():
                self._gallery.update(found)

    def _new_gallery(self, trainer: Trainer, vit: OpenViT) -> Gallery | None:
        paths = _category_paths(trainer, self)
        preprocessing = getattr(getattr(trainer, "datamodule", None), "preprocessing", None)
        return (
            None
            if paths is None
            else Gallery(
                vit,
                paths,
                per_category=self.per_category,
                per_neuron=self.per_neuron,
                most_neurons=self.most_neurons,
                size=self.size,
                mean=getattr(preprocessing, "mean", None),
                std=getattr(preprocessing, "std", None),
            )
        )

    def _finish(self, trainer: Trainer, pl_module: LightningModule) -> None:
        run = run_folder(trainer, self.run_dir)
        gallery = self._merged(trainer)
        about = self._about(trainer, self.open_vit(trainer, pl_module))

        def write() -> Path:
            discard_damaged(run.path)
            # A run that found everything done would tell its own short time, and not what did the work.
            known, told = read_about(run.path), dict.fromkeys(("seconds", "command"))
            if {**about, **told} != {**known, **told}:
                run.write(ABOUT, json.dumps(about, indent=2) + "\n")
            if gallery is not None:
                run.write(PICTURES, json.dumps(gallery.to_dict()) + "\n")
            # Only now, as what is replaced may be damaged.
            with stage(trainer, "Reading paths", total=read_run(run.path).rows, each=1) as advance:
                return write_report(run.path, advance)

        path = on_first_process(trainer, write)
        if trainer.is_global_zero:
            log_figures(trainer.loggers, read_run(run.path), step=trainer.global_step)
            rich.get_console().print(f"Report: {path}", soft_wrap=True, highlight=False)

    def _merged(self, trainer: Trainer) -> Gallery | None:
        """The pictures of all processes, for the first of them."""
        gallery = self._gallery
        if trainer.world_size > 1:
            own = None if gallery is None else (gallery.grid, gallery.samples, gallery.drivers)
            gathered: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(gathered, own)
            if gallery is not None:
                for other in gathered:
                    if other is not None:
                        gallery.merge(*other)
        return gallery

    def _about(self, trainer: Trainer, vit: OpenViT) -> dict[str, Any]:
        data = getattr(trainer, "datamodule", None)
        architecture = (getattr(vit.transformer, "pretrained_cfg", None) or {}).get("architecture")
        tokens = vit.path_tokens
        return {
            "names": list(map(str, getattr(data, "class_names", None) or range(vit.num_classes))),
            "model": " ".join(filter(None, [type(vit.transformer).__name__, architecture])),
            "parameters": sum(parameter.numel() for parameter in vit.searched.parameters()),
            "widths": list(vit.widths),
            "path_tokens": "the class token" if (tokens.start or 0, tokens.stop) == (0, 1) else "all pooled tokens",
            "command": shlex.join(["python", *sys.argv]) if Path(sys.argv[0]).name == "train.py" else None,
            "device": str(trainer.strategy.root_device.type),
            "processes": trainer.world_size,
            "seconds": round(time.monotonic() - self._started, 1),
            "versions": {name: version(name) for name in _LIBRARIES},
        }


def _category_paths(trainer: Trainer, report: PathReport) -> CategoryPaths | None:
    """Those of the main search, of the size that is removed and enhanced."""
    search = search_of(trainer, report)
    if search is not None:
        sizes, top_k = search.category_paths[search.searches[0].name], search.top_k
    else:
        callbacks: list[Callback] = getattr(trainer, "callbacks", [])
        stored = [one.paths for one in callbacks if isinstance(one, PathEvaluation) and one.paths is not None]
        if not stored:
            return None
        paths, top_k = RunFolder(stored[0]).read_category_paths()
        sizes = next(iter(paths.values()))
    return sizes[min(top_k, max(sizes))]


def _reports(trainer: Trainer) -> bool:
    commands = (TrainerFn.VALIDATING, TrainerFn.TESTING, TrainerFn.PREDICTING)
    return trainer.state.fn in commands and not trainer.sanity_checking
