"""Test every category under every category's path inside a Lightning run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from nplight.callbacks.data_settings import data_shard
from nplight.callbacks.path_search import NeuronPathSearch
from nplight.callbacks.run_callback import RunCallback
from nplight.callbacks.run_folders import run_folder
from nplight.callbacks.siblings import search_of
from nplight.callbacks.trainer_context import trainer_context
from nplight.errors import ArgumentError, check_at_least
from nplight.metrics import SelectivityMatrix, SelectivitySummary, selectivity_summary
from nplight.report.terminal_tables import selectivity_table
from nplight.runs import SelectivityRun


class PathSelectivity(RunCallback[SelectivityRun]):
    """Measures whether the path of a category serves that category more than others.

    In `validate` it runs each image of the second loader (the held-out split) once under the path of every category,
    all other neurons pruned to zero: as many forward passes as there are categories. Writes `selectivity.json` and
    prints the accuracy under an image's own path and under the others.

    Args:
        search: the name of the search whose paths are tested; `None`: the first.
        kept: neurons per layer of the paths, a size that was searched.
        replicates: of the bootstrap over images that gives every measure its 95% interval.
        read_batch: a function, or its dotted name, that turns the project's batches into ones that
            `nplight.data.read_batch` takes; `None`: they are such.
        run_dir: where results go; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule; `None`: that of the other callbacks,
            else the only one there is.

    Attributes:
        matrix: the result, once the run has ended.

    Raises:
        ArgumentError: an argument is wrong.

    Examples:
        >>> from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathSelectivity
        >>> callbacks = [NeuronPathSearch(), PathEvaluation(), PathSelectivity(kept=5)]
    """

    loader = 1

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
        super().__init__(read_batch, run_dir, vit)
        check_at_least("kept", kept, 1)
        check_at_least("replicates", replicates, 0)
        self.search = search
        self.kept = kept
        self.replicates = replicates
        self.matrix: SelectivityMatrix | None = None

    @property
    def state_key(self) -> str:
        return self._generate_state_key(run_dir=str(self.run_dir), vit=self.vit, search=self.search, kept=self.kept)

    def follows(self, trainer: Trainer) -> bool:
        return trainer.state.fn == TrainerFn.VALIDATING and data_shard(trainer) is None

    works = follows

    def watches(self, trainer: Trainer) -> bool:
        return False  # the search watches

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if not self.follows(trainer):
            return
        settings = self._search(trainer).settings
        if self.search is not None and self.search not in settings.names:
            raise ArgumentError(f"`search` must be one of {', '.join(settings.names)}, got {self.search!r}")
        sizes = (settings.top_k, *settings.kept)
        if self.kept not in sizes:
            raise ArgumentError(
                f"`kept` must be a size that NeuronPathSearch forms paths of, one of {sizes}, got {self.kept}"
            )

    def make_run(self, trainer: Trainer, pl_module: LightningModule) -> SelectivityRun:
        searched = self._search(trainer).start(trainer, pl_module)
        return SelectivityRun(
            searched.vit,
            run_folder(trainer, self.run_dir),
            searched,
            search=self.search or searched.names[0],
            kept=self.kept,
            replicates=self.replicates,
            context=trainer_context(trainer, pl_module, self.read, loader=self.loader),
        )

    def conclude(self, trainer: Trainer, pl_module: LightningModule, run: SelectivityRun) -> None:
        self.matrix = run.conclude()
        summary = selectivity_summary(self.matrix)
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.log_metrics(_scalars(summary), step=trainer.global_step)
            rich.get_console().print(selectivity_table(summary, run.search, self.kept))

    def _search(self, trainer: Trainer) -> NeuronPathSearch:
        search = search_of(trainer, self)
        if search is None:
            raise ArgumentError("PathSelectivity needs a NeuronPathSearch in the same Trainer, whose paths it tests")
        return search


def _scalars(summary: SelectivitySummary) -> dict[str, float]:
    return {f"paths/selectivity/{name}": getattr(summary, name).value for name in ("own", "others", "difference")}
