"""Test category paths inside a Lightning run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import rich
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from nplight.callbacks.data_settings import data_identity, data_shard
from nplight.callbacks.run_callback import RunCallback
from nplight.callbacks.run_folders import fitting, results_folder
from nplight.callbacks.siblings import search_of
from nplight.callbacks.trainer_context import trainer_context
from nplight.errors import ArgumentError
from nplight.metrics import ConditionResult
from nplight.neurons import Fill
from nplight.report.terminal_tables import findings_tables
from nplight.results import Findings
from nplight.runs import EvaluationRun, EvaluationSettings, StoredPaths
from nplight.runs.evaluation_settings import Drawn, EvaluatedTokens


class PathEvaluation(RunCallback[EvaluationRun]):
    """Measures what becomes of predictions when each image is edited along the path of its category.

    Conditions: clean; every neuron pruned; the path removed; enhanced; scaled; removed and kept in the first layers
    alone; and, for every number of neurons per layer kept, every fraction of the others pruned. Every search stands
    beside random neurons of the same number (`controls`), and each image's own path is tested on the images that it was
    found with. In `validate` it tests the paths that a `NeuronPathSearch` of the same Trainer has just formed, on the
    second loader (the held-out split); in `test` those of a finished run, on all test loaders, without images' own
    paths. Writes `metrics.json`, `metrics.csv`, `by_category.csv`, `comparison.md` and `comparison.tex`, and prints the
    tables. Where a search attributes another objective than the probability, that objective is measured as well. In
    `fit` it tests what the search of the same Trainer finds there; it does nothing in `predict`.

    Args:
        fractions: shares of the other neurons that are pruned, in [0, 1].
        fill: what stands in a pruned neuron: `zero`; or, gathered over the discover images, its `mean` or `peak`, or
            `resample`, its value in another image.
        tokens: the tokens that are edited: `path`, as the paper; `all`; or `both`: those of `path`, and all tokens
            with the path removed, with all other neurons pruned, and with every neuron pruned. Paths that were searched
            at all tokens are edited at all tokens: `both` is then `all`, and `path` is refused.
        paths: a finished run whose category paths are tested instead, needed in `test`.
        seed: chooses the neurons that a fraction below 1 prunes, those of the controls, and the images of `resample`.
        replicates: of the bootstrap over images that gives every measure its 95% interval.
        controls: what every search is compared with: `random` neurons of the same number, the path of an
            `other-category`, neurons of `like-activation`; empty or `None`: nothing.
        draws: of a control, whose figures are the means over them; partial pruning, part of the layers and other scales
            than 0 and 2 have a quarter of them.
        pruned_per: whether the neurons that a fraction below 1 prunes are drawn per `category` or, as the published
            program does, per `image`.
        depths: shares of the layers, in [0, 1]: the path is removed, and kept, in the first of them alone.
        scales: factors of the path's neurons, for the response of the prediction to them.
        own: whether each image's own path is removed and enhanced as well, on the images that it was found with, as the
            published program does; in `validate`.
        read_batch: a function, or its dotted name, that turns the project's batches into ones that
            `nplight.data.read_batch` takes; `None`: they are such.
        overwrite: replace the results that the run folder holds, also those of other settings.
        verbose: print every measure under every condition, not the paths against random neurons alone.
        run_dir: where results go; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule; `None`: that of the other callbacks,
            else the only one there is.

    Attributes:
        settings: of the evaluation.
        results: one entry per condition and method, once the run has ended.

    Raises:
        ArgumentError: an argument is wrong.

    Examples:
        >>> from nplight.callbacks import NeuronPathSearch, PathEvaluation
        >>> callbacks = [NeuronPathSearch(), PathEvaluation(fractions=(0.5, 1.0))]
        >>> callbacks[1].settings.fractions
        (0.5, 1.0)
    """

    command_line_settings = frozenset({"overwrite", "paths", "run_dir", "verbose"})
    loader = 1

    def __init__(
        self,
        *,
        fractions: Sequence[float] = (0.1, 0.3, 0.5, 1.0),
        fill: Fill = "zero",
        tokens: EvaluatedTokens = "both",
        paths: str | Path | None = None,
        seed: int = 0,
        replicates: int = 1000,
        controls: Sequence[str] | None = ("random",),
        draws: int = 20,
        pruned_per: Drawn = "category",
        depths: Sequence[float] = (0.25, 0.5, 0.75),
        scales: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0),
        own: bool = True,
        read_batch: str | Callable[[Any], Any] | None = None,
        overwrite: bool = False,
        verbose: bool = False,
        run_dir: str | Path | None = None,
        vit: str | None = None,
    ) -> None:
        super().__init__(read_batch, run_dir, vit)
        self.settings = EvaluationSettings(
            fractions=tuple(fractions),
            fill=fill,
            tokens=tokens,
            seed=seed,
            replicates=replicates,
            controls=controls,
            draws=draws,
            pruned_per=pruned_per,
            depths=tuple(depths),
            scales=tuple(scales),
            own=own,
        )
        self.paths = paths
        self.overwrite = overwrite
        self.verbose = verbose
        self.results: list[ConditionResult] = []
        self._stored: StoredPaths | None = None

    @property
    def state_key(self) -> str:
        return self._generate_state_key(run_dir=str(self.run_dir), vit=self.vit)

    def follows(self, trainer: Trainer) -> bool:
        if fitting(trainer):
            search = search_of(trainer, self)
            return search is not None and search.follows(trainer)
        return trainer.state.fn in (TrainerFn.VALIDATING, TrainerFn.TESTING) and data_shard(trainer) is None

    def works(self, trainer: Trainer) -> bool:
        search = search_of(trainer, self) if fitting(trainer) else None
        return self.follows(trainer) if search is None else search.works(trainer)

    def watches(self, trainer: Trainer) -> bool:
        # A search of the same Trainer watches.
        return search_of(trainer, self) is None and super().watches(trainer)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        self._stored = None
        if not self.follows(trainer):
            return
        if self.paths is None and search_of(trainer, self) is None:
            raise _without_paths()
        if self.settings.fill != "zero" and trainer.state.fn == TrainerFn.TESTING:
            raise ArgumentError(
                f"`fill` must be 'zero' in `test`, without discover images to gather others from, "
                f"got {self.settings.fill!r}"
            )
        if self.paths is not None:
            self._stored = StoredPaths(self.paths)
            self._stored.check_data(data_identity(trainer))

    def check_model(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if search := search_of(trainer, self):
            search.check_model(trainer, pl_module)  # which may come later among the callbacks
        if self._stored is not None:
            self._stored.check_model(self.open_vit(trainer, pl_module))

    def make_run(self, trainer: Trainer, pl_module: LightningModule) -> EvaluationRun:
        search = search_of(trainer, self)
        searched = None if search is None else search.start(trainer, pl_module)
        if search is not None and searched is not None and fitting(trainer):
            # Every process must do things in the same order, also one without images.
            search.conclude(trainer, pl_module, searched)
        source = self._stored or searched
        if source is None:
            raise _without_paths()
        return EvaluationRun(
            self.open_vit(trainer, pl_module) if searched is None else searched.vit,
            results_folder(trainer, self.run_dir),
            source,
            self.settings,
            trainer_context(trainer, pl_module, self.read, loader=self.loader),
            overwrite=self.overwrite or fitting(trainer),
        )

    def conclude(self, trainer: Trainer, pl_module: LightningModule, run: EvaluationRun) -> None:
        findings = run.conclude()
        self.results = findings.results
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.log_metrics(_scalars(findings), step=trainer.global_step)
            for table in findings_tables(findings, run.folder.path, verbose=self.verbose):
                rich.get_console().print(table)


def _without_paths() -> ArgumentError:
    return ArgumentError(
        "PathEvaluation needs category paths: give `paths` (--paths), a finished run folder, "
        "or in `validate` a NeuronPathSearch in the same Trainer"
    )


def _scalars(findings: Findings) -> dict[str, float]:
    """What loggers get: `paths/METHOD/CONDITION/…/MEASURE`, without the method for the only search."""
    unnamed = {"", *(findings.searches if len(findings.searches) == 1 else ())}
    main = next((result.tokens for result in findings.results if result.kept is not None), None)
    scalars = {}
    for result in findings.results:
        parts = [*([] if result.method in unnamed else [result.method]), result.condition]
        if result.pruned is not None:
            parts.append(f"{result.kept}_pruned_{result.pruned:.0%}")
        if result.tokens not in (None, main):
            parts.append(f"{result.tokens}_tokens")
        if result.layers is not None:
            parts.append(f"first_{result.layers}_layers")
        if result.scale is not None:
            parts.append(f"by_{result.scale:g}")
        for name, estimate in result.values.items():
            scalars["/".join(["paths", *parts, name])] = estimate.value
    return scalars
