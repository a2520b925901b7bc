"""The neural burden of a model that is pruned while it trains."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from nplight.callbacks.discover_pass import discover_pass
from nplight.callbacks.path_pruning import PathPruning, check_images, first_images, share_of
from nplight.callbacks.run_folders import fitting, run_folder
from nplight.callbacks.vit_callback import ViTCallback
from nplight.data import ImageBatch, batch_reader
from nplight.errors import ArgumentError, check_at_least
from nplight.processes import on_first_process
from nplight.pruning import burden
from nplight.pruning.burden_file import read_loads, write_loads
from nplight.report.burden_figure import burden_figure
from nplight.shrinking.neuron_load import neuron_loads
from nplight.store import RunFolder
from nplight.store.file_names import BURDEN_JSON, BURDEN_PAGE, LOADS, PRUNED
from nplight.vit import OpenViT


class PathBurden(ViTCallback):
    """Measures and logs, in `fit`, the neural burden: how much more the neurons that a `PathPruning` keeps write.

    At the end of every n-th epoch it measures the load of every neuron over the same images, compares that of the
    surviving neurons with a dense twin, and logs `burden/mean` and `burden/layer_N`. At the end it writes
    `pruned/burden.json`, `pruned/burden.html`, a figure, and `pruned/loads.safetensors`, by which a later training can
    take this one as its twin. Without pruning the burden is 0. It does nothing outside `fit`.

    Args:
        twin: `before`: the model just before its first mask; or the run folder of a training without pruning, from the
            same seed and with this callback, whose loads of the same epochs are taken.
        every_n_epochs: how often.
        images: how many images of the first validation loader.
        read_batch: as of `PathPruning`.
        run_dir: where the results go; `None`: `neuron_paths/` in the logger's folder.
        vit: as of `PathPruning`.

    Attributes:
        records: one entry per measurement, with `epoch`, `step`, `burden`, `by_layer`, `pruned` and `reactivated`.

    Raises:
        ArgumentError: an argument is wrong, or the twin has no loads of an epoch.

    Examples:
        >>> from lightning.pytorch import Trainer
        >>> from nplight.callbacks import PathBurden, PathPruning
        >>> callbacks = [PathPruning(0.5), PathBurden(every_n_epochs=2)]
        >>> trainer = Trainer(accelerator="cpu", logger=False, callbacks=callbacks)
    """

    def __init__(
        self,
        *,
        twin: str | Path = "before",
        every_n_epochs: int = 1,
        images: int = 64,
        read_batch: str | Callable[[Any], Any] | None = None,
        run_dir: str | Path | None = None,
        vit: str | None = None,
    ) -> None:
        check_at_least("every_n_epochs", every_n_epochs, 1)
        check_at_least("images", images, 1)
        self.twin, self.every_n_epochs, self.images = twin, every_n_epochs, images
        self.read = batch_reader(read_batch)
        self.run_dir, self.vit = run_dir, vit
        self.records: list[dict[str, Any]] = []
        self._loads: dict[int, list[Tensor]] = {}
        self._before: list[Tensor] | None = None
        self._twin_loads: dict[int, list[Tensor]] = {}

    @property
    def state_key(self) -> str:
        return self._generate_state_key(vit=self.vit, twin=str(self.twin))

    def state_dict(self) -> dict[str, Any]:
        return {"records": self.records, "loads": self._loads, "before": self._before}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.records, self._loads = list(state_dict["records"]), dict(state_dict["loads"])
        self._before = state_dict["before"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            self.records, self._loads, self._before = [], {}, None
            self._twin_loads = {} if self.twin == "before" else read_loads(Path(self.twin) / PRUNED / LOADS)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        check_images(trainer, "PathBurden measures")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Measure the model before its first mask: until a step is taken, open masks show it."""
        pruning = _pruning(trainer)
        if self.twin != "before" or self._before is not None or pruning is None or pruning.pruner is None:
            return
        pruner = pruning.pruner
        if pruner.due(trainer.global_step) or pruner.masks.pruned_share > 0:
            with pruner.masks.open():
                self._before = self._measure(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch, pruning = trainer.current_epoch, _pruning(trainer)
        if (epoch + 1) % self.every_n_epochs:
            return
        loads = self._loads[epoch] = self._measure(trainer, pl_module)
        pruner = None if pruning is None else pruning.pruner
        kept = [torch.ones_like(load, dtype=torch.bool) for load in loads] if pruner is None else pruner.masks.kept
        share = 0.0 if pruner is None else pruner.masks.pruned_share
        result = burden(loads, self._twin(epoch, loads) if share else loads, kept)
        self.records.append(
            {
                "epoch": epoch,
                "step": trainer.global_step,
                "burden": result.mean,
                "by_layer": result.by_layer.tolist(),
                "pruned": share,
                "reactivated": 0.0 if pruner is None else pruner.reactivated,
            }
        )
        layers = {f"burden/layer_{layer}": value for layer, value in enumerate(result.by_layer.tolist())}
        # Equal on all processes: without `sync_dist` Lightning would warn.
        pl_module.log_dict({"burden/mean": result.mean, **layers}, sync_dist=True)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self.records:
            return
        folder = RunFolder(run_folder(trainer, self.run_dir).path / PRUNED)

        def write() -> None:
            folder.write(BURDEN_JSON, json.dumps({"twin": str(self.twin), "records": self.records}, indent=1) + "\n")
            folder.write(BURDEN_PAGE, burden_figure(self.records).to_html(include_plotlyjs=True))
            write_loads(folder.path / LOADS, self._loads)

        on_first_process(write)

    def _twin(self, epoch: int, loads: list[Tensor]) -> list[Tensor]:
        twin = self._before if self.twin == "before" else self._twin_loads.get(epoch)
        if twin is None or [load.shape for load in twin] != [load.shape for load in loads]:
            raise ArgumentError(
                f"`twin` {self.twin} must have the loads of this model's neurons in epoch {epoch}, but has not; train "
                f"the twin with PathBurden, as many epochs and with the same `every_n_epochs`"
            )
        return twin

    def _measure(self, trainer: Trainer, pl_module: LightningModule) -> list[Tensor]:
        vit: OpenViT = self.open_vit(trainer, pl_module)

        def images() -> Iterator[ImageBatch]:
            batches = discover_pass(trainer, pl_module, self.read, "Measuring loads")
            return first_images(batches, share_of(trainer, self.images))

        with isolate_rng(), trainer.precision_plugin.forward_context():
            return neuron_loads(vit, (batch.images for batch in images()))


def _pruning(trainer: Trainer) -> PathPruning | None:
    callbacks: list[Any] = trainer.callbacks if fitting(trainer) else []  # type: ignore[attr-defined]
    return next((callback for callback in callbacks if isinstance(callback, PathPruning)), None)
