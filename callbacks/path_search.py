"""Search neuron paths inside a Lightning run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from nplight.callbacks.data_settings import data_identity
from nplight.callbacks.refusals import (
    refuse_endless,
    refuse_other_training,
    refuse_shuffled,
    refuse_unvalidated,
    warn_never_searched,
)
from nplight.callbacks.run_callback import RunCallback
from nplight.callbacks.run_folders import fitting, results_folder
from nplight.callbacks.trainer_context import trainer_context
from nplight.data import ImageBatch
from nplight.errors import check_at_least
from nplight.neurons import Tokens
from nplight.paths import CategoryPaths
from nplight.runs import SearchRun, SearchSettings, check_searchable
from nplight.searching import NamedSearch
from nplight.store import RunFolder


class NeuronPathSearch(RunCallback[SearchRun]):
    """Finds the neuron path of every image, and of every category, and writes them to the run folder.

    In `validate` it searches each image of the first loader (the discover split) and, when that ends, forms the
    category paths. In `predict` it searches each image for its predicted category. Images that the run folder already
    holds are not searched again. In `fit` it does nothing, or, with `every_n_epochs`, what it does in `validate`,
    without changing a bit of the training. It does nothing in `test`.

    Args:
        method: one of `nplight.METHODS`.
        top_k: neurons per layer on the path.
        kept: further numbers of neurons per layer for which category paths are formed, from the ranking of one search.
        steps: quadrature nodes.
        rule: one of `nplight.RULES`.
        tolerance: relative to the score, as in `nplight.search`; 0 or `None` evaluates every node.
        objective: what is attributed, one of `nplight.OBJECTIVES`; a PathEvaluation measures it too.
        tokens: at which neurons are read and edited: `path`, the model's path tokens, as the paper; or `all`, every
            token, as a model that shrinks to the path needs it.
        patch_stream: `exact`; or `frozen`, an approximation: of several searches those use it whose method can.
        chunk_size: node rows, (image, node) pairs, in flight; `None` picks from the memory there is.
        target: the category that is attributed in `validate`: `label` or `prediction`.
        category_method: `frequency`, `rank-mode` or `mean-score`.
        methods: several searches to compare, in place of `method`: names of `nplight.METHODS`, or mappings of `method`
            and, where wanted, `name`, `granularity` (`image` or `category`), `search_per_t`, `steps`, `rule`,
            `tolerance`, `objective`, `tokens`, `patch_stream`, `candidates` and `seed`.
        every_n_epochs: in `fit`, search at the first validation of every n-th epoch, into `epoch-NNNN/` of the run
            folder, counted from 0; a PathEvaluation of the same Trainer then tests there. `None`: not in `fit`.
        read_batch: a function, or its dotted name, that turns the project's batches into ones that
            `nplight.data.read_batch` takes; `None`: they are such.
        overwrite: replace the results that the run folder holds, also those of other settings.
        run_dir: where results go; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule; `None`: that of the other callbacks,
            else the only one there is.

    Attributes:
        settings: of the search.
        run: the run folder, once a run has started.
        category_paths: search -> neurons per layer -> category paths, once the first loader of `validate` has ended.

    Raises:
        ArgumentError: an argument is wrong.

    Examples:
        >>> from nplight.callbacks import NeuronPathSearch
        >>> search = NeuronPathSearch(methods=["joint_integrated_gradients", "random"], kept=(1, 5))
        >>> [named.name for named in search.settings.searches]
        ['joint_integrated_gradients', 'random']
    """

    command_line_settings = frozenset({"methods", "overwrite", "run_dir"})
    loader = 0

    def __init__(
        self,
        *,
        method: str = "jas",
        top_k: int = 1,
        kept: Sequence[int] = (1, 5, 10, 30, 50),
        steps: int = 20,
        rule: str = "riemann-left",
        tolerance: float | None = 1e-6,
        objective: str = "probability",
        tokens: Tokens = "path",
        patch_stream: str = "exact",
        chunk_size: int | None = None,
        target: Literal["label", "prediction"] = "label",
        category_method: str = "frequency",
        methods: Sequence[str | Mapping[str, Any]] | None = None,
        every_n_epochs: int | None = None,
        read_batch: str | Callable[[Any], Any] | None = None,
        overwrite: bool = False,
        run_dir: str | Path | None = None,
        vit: str | None = None,
    ) -> None:
        super().__init__(read_batch, run_dir, vit)
        options: dict[str, Any] = {
            "steps": steps,
            "rule": rule,
            "tolerance": tolerance,
            "objective": objective,
            "tokens": tokens,
        }
        self.settings = SearchSettings.of(
            [method] if methods is None else methods,
            top_k=top_k,
            kept=kept,
            target=target,
            category_method=category_method,
            patch_stream=patch_stream,
            chunk_size=chunk_size,
            **options,
        )
        if every_n_epochs is not None:
            check_at_least("every_n_epochs", every_n_epochs, 1)
        self.every_n_epochs = every_n_epochs
        self.overwrite = overwrite
        self.run: RunFolder | None = None
        self.category_paths: dict[str, dict[int, CategoryPaths]] = {}
        self._epoch = -1  # the last that was searched in `fit`

    @property
    def searches(self) -> tuple[NamedSearch, ...]:
        """What is searched."""
        return self.settings.searches

    @property
    def state_key(self) -> str:
        return self._generate_state_key(run_dir=str(self.run_dir), vit=self.vit, searches=self.settings.names)

    def state_dict(self) -> dict[str, Any]:
        return {} if self.every_n_epochs is None else {"epoch": self._epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._epoch = state_dict["epoch"]

    def follows(self, trainer: Trainer) -> bool:
        if fitting(trainer):
            return self.every_n_epochs is not None
        return trainer.state.fn in (TrainerFn.VALIDATING, TrainerFn.PREDICTING)

    def works(self, trainer: Trainer) -> bool:
        return self.follows(trainer) and (not fitting(trainer) or self._run is not None or self._due(trainer))

    def make_run(self, trainer: Trainer, pl_module: LightningModule) -> SearchRun:
        self.run, self.category_paths = results_folder(trainer, self.run_dir), {}
        return SearchRun(
            self.open_vit(trainer, pl_module),
            self.run,
            replace(self.settings, labelled=trainer.state.fn != TrainerFn.PREDICTING),
            trainer_context(trainer, pl_module, self.read, loader=self.loader, identity=data_identity(trainer)),
            overwrite=self.overwrite or fitting(trainer),
        )

    def check_model(self, trainer: Trainer, pl_module: LightningModule) -> None:
        check_searchable(self.open_vit(trainer, pl_module), self.settings)

    def update(self, trainer: Trainer, run: SearchRun, batch: ImageBatch, loader: int) -> None:
        if batch.index is None:
            refuse_shuffled(trainer)
        super().update(trainer, run, batch, loader)

    def loader_ended(self, trainer: Trainer, pl_module: LightningModule, run: SearchRun) -> None:
        self.category_paths = run.conclude()

    conclude = loader_ended

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.follows(trainer):
            refuse_unvalidated(trainer)
        super().on_fit_start(trainer, pl_module)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.follows(trainer):
            refuse_other_training(trainer, self.run_dir, overwrite=self.overwrite)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.follows(trainer):
            refuse_endless(trainer)
        super().on_validation_start(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_validation_end(trainer, pl_module)
        if fitting(trainer) and self._run is not None:
            self._epoch = trainer.current_epoch

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.follows(trainer) and self._epoch < 0:
            warn_never_searched(self.every_n_epochs)

    def _due(self, trainer: Trainer) -> bool:
        epoch = trainer.current_epoch
        return (epoch + 1) % (self.every_n_epochs or 1) == 0 and self._epoch != epoch and not trainer.sanity_checking
