"""Test category paths inside a Lightning run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rich
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from nplight.callbacks.common import on_first_process, run_folder
from nplight.callbacks.path_search import NeuronPathSearch
from nplight.data import read_batch
from nplight.errors import ArgumentError, NonFiniteError
from nplight.metrics import ConditionMetrics, ConditionResult, all_conditions, predictions
from nplight.paths import CategoryPaths, check_neurons
from nplight.store import RunFolder
from nplight.tables import result_tables
from nplight.vit import fingerprint, open_vit


class PathEvaluation(Callback):
    """Measures what becomes of predictions when each image is edited along the path of its category.

    Conditions: clean; the path removed; enhanced; and, for every number of neurons a layer kept, every fraction of the
    others pruned. In `validate` it tests the paths that a `NeuronPathSearch` of the same Trainer has just formed, on
    the second loader (the held-out split); in `test` those of a finished run, on all test loaders. Writes
    `metrics.json` and `metrics.csv` and prints the tables. It does nothing in `fit` and `predict`.

    Args:
        fractions: shares of the other neurons that are pruned, in [0, 1].
        paths: a finished run whose category paths are tested instead, needed in `test`.
        seed: chooses which neurons a fraction below 1 prunes.
        run_dir: where results go; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule; `None`: the only one there is.

    Attributes:
        results: one entry a condition, once the run has ended.

    Raises:
        ArgumentError: an argument is wrong.
    """

    def __init__(
        self,
        *,
        fractions: Sequence[float] = (0.1, 0.3, 0.5, 1.0),
        paths: str | Path | None = None,
        seed: int = 0,
        run_dir: str | Path | None = None,
        vit: str | None = None,
    ) -> None:
        all_conditions(1, (), fractions)
        self.fractions = tuple(fractions)
        self.paths = paths
        self.seed = seed
        self.run_dir = run_dir
        self.vit = vit
        self.results: list[ConditionResult] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if not _evaluates(trainer):
            return
        if self.paths is None and _search_of(trainer) is None:
            raise ArgumentError(
                "PathEvaluation needs category paths: give `paths` (--paths), a finished run folder, "
                "or in `validate` a NeuronPathSearch in the same Trainer"
            )
        self._stored: tuple[dict[int, CategoryPaths], int] | None = None
        if self.paths is not None:
            vit, stored = open_vit(pl_module, self.vit), RunFolder(self.paths)
            self._stored = stored.read_category_paths()
            for paths in self._stored[0].values():
                check_neurons(paths.neurons, vit.widths, images=vit.num_classes)
            identity = getattr(getattr(trainer, "datamodule", None), "identity", None)
            if callable(identity):
                stored.check_same("search", identity())

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if _evaluates(trainer):
            if len(trainer.num_val_batches) < 2:
                raise ArgumentError(
                    "PathEvaluation needs two validation loaders, the discover and the held-out split, got one"
                )
            self._start(trainer, pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start(trainer, pl_module)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if _evaluates(trainer) and dataloader_idx == 1:
            self._update(trainer, pl_module, batch)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._update(trainer, pl_module, batch)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if _evaluates(trainer):
            self._finish(trainer)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._finish(trainer)

    def _start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        search = _search_of(trainer)
        if self._stored is not None:
            sizes, top_k = tuple(sorted(self._stored[0])), self._stored[1]
        else:
            assert search is not None
            sizes, top_k = search.sizes, search.top_k
        conditions = all_conditions(top_k, sizes, self.fractions)
        vit = open_vit(pl_module, self.vit)
        # Not in `setup`: the weights of a `ckpt_path` are loaded after it.
        self._run = run_folder(trainer, self.run_dir)
        settings = {
            "fractions": list(self.fractions),
            "seed": self.seed,
            "paths": None if self.paths is None else RunFolder(self.paths).category_digest(),
            "model": fingerprint(vit.model),
        }
        on_first_process(trainer, lambda: self._run.claim("evaluation", settings))
        self._metrics = ConditionMetrics(conditions, vit.num_classes).to(pl_module.device)

    def _update(self, trainer: Trainer, pl_module: LightningModule, batch: Any) -> None:
        found = read_batch(batch)
        if found.labels is None:
            raise ArgumentError("the batch must have labels to evaluate paths with, got images alone")
        vit = open_vit(pl_module, self.vit)
        vit.check_targets(found.labels, len(found), "labels")
        with trainer.precision_plugin.forward_context():
            edited = predictions(
                vit, found.images, found.labels, self._metrics.conditions, self._paths(trainer), seed=self.seed
            )
        broken = (~edited[0].isfinite().all(1)).nonzero().flatten().tolist()
        if broken:
            raise NonFiniteError("the clean pass gave NaN or infinite values", broken)
        for condition, probabilities in zip(self._metrics.conditions, edited):
            self._metrics.update(condition, edited[0], probabilities, found.labels)

    def _paths(self, trainer: Trainer) -> dict[int, CategoryPaths]:
        if self._stored is not None:
            return self._stored[0]
        search = _search_of(trainer)
        assert search is not None
        return search.category_paths

    def _finish(self, trainer: Trainer) -> None:
        self.results = self._metrics.compute()
        if not trainer.is_global_zero:
            return
        search = _search_of(trainer)
        notes = [] if search is None else search.notes
        rows = [result.to_dict() for result in self.results]
        self._run.write_metrics(rows, {"images": self.results[0].images, "notes": notes})
        for logger in trainer.loggers:
            logger.log_metrics(_scalars(self.results), step=trainer.global_step)
        for part in result_tables(self.results, notes, self._run.path):
            rich.get_console().print(part)


def _evaluates(trainer: Trainer) -> bool:
    return trainer.state.fn in (TrainerFn.VALIDATING, TrainerFn.TESTING) and not trainer.sanity_checking


def _search_of(trainer: Trainer) -> NeuronPathSearch | None:
    """The search of the same Trainer, from which the paths come in `validate`."""
    if trainer.state.fn != TrainerFn.VALIDATING:
        return None
    callbacks = getattr(trainer, "callbacks", [])
    return next((callback for callback in callbacks if isinstance(callback, NeuronPathSearch)), None)


def _scalars(results: Sequence[ConditionResult]) -> dict[str, float]:
    scalars = {}
    for result in results:
        parts = [result.condition]
        if result.pruned is not None:
            parts.append(f"{result.kept}_pruned_{result.pruned:.0%}")
        for name in ("accuracy", "accuracy_macro", "probability", "probability_deviation", "accuracy_deviation"):
            scalars["/".join(["paths", *parts, name])] = getattr(result, name)
    return scalars
