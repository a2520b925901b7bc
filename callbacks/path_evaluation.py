"""Test category paths inside a Lightning run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import rich
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from nplight.callbacks.common import (
    check_loaders,
    check_validation_loaders,
    claim_held_out,
    data_identity,
    data_limit,
    fitting,
    on_first_process,
    over_processes,
    refuse_idle,
    refuse_no_images,
    refuse_sharded,
    results_folder,
)
from nplight.callbacks.counted import CountedImages
from nplight.callbacks.ending import check_sigterm, end_together, release
from nplight.callbacks.own_step import OwnStep, check_entered
from nplight.callbacks.passes import discover_pass
from nplight.callbacks.path_search import NeuronPathSearch
from nplight.callbacks.vit_callback import ViTCallback
from nplight.data import ImageDigest, batch_reader
from nplight.errors import ArgumentError, NonFiniteError, check_at_least, check_choice
from nplight.metrics import ConditionMetrics, ConditionResult, all_conditions, predictions
from nplight.neurons import FILLS, TOKENS, Fill, Gathering, References, Tokens, gathering
from nplight.paths import CategoryPaths, check_neurons
from nplight.report.comparison_text import findings_to_markdown, to_latex
from nplight.report.terminal_tables import findings_tables
from nplight.results import Findings, findings
from nplight.seeds import checksums
from nplight.store import RunFolder, read_searches
from nplight.store.file_names import COMPARISON_LATEX, COMPARISON_MARKDOWN
from nplight.vit import OpenViT, fingerprint

Paths = Mapping[str, Mapping[int, CategoryPaths]]


class PathEvaluation(ViTCallback):
    """Measures what becomes of predictions when each image is edited along the path of its category.

    Conditions: clean; the path removed; enhanced; and, for every number of neurons a layer kept, every fraction of the
    others pruned. In `validate` it tests the paths that a `NeuronPathSearch` of the same Trainer has just formed, on
    the second loader (the held-out split); in `test` those of a finished run, on all test loaders. Writes
    `metrics.json` and `metrics.csv`, for several methods also `comparison.md` and `comparison.tex`, and prints the
    tables. In `fit` it tests what the search of the same Trainer finds there; it does nothing in `predict`.

    Args:
        fractions: shares of the other neurons that are pruned, in [0, 1].
        fill: what stands in a pruned neuron: `zero`; or, gathered over the discover images, its `mean` or `peak`, or
            `resample`, its value in another image.
        tokens: the tokens that are edited: `path`, as the paper, or `all`.
        paths: a finished run whose category paths are tested instead, needed in `test`.
        seed: chooses which neurons a fraction below 1 prunes, and the images of `resample`.
        replicates: of the bootstrap over images that gives every measure its 95% interval.
        read_batch: what turns the project's batches into ones that `nplight.data.read_batch` takes: a function, or its
            dotted name; `None`: they are such.
        overwrite: replace the results that the run folder holds, also those of other settings.
        run_dir: where results go; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule; `None`: that of the other callbacks,
            else the only one there is.

    Attributes:
        results: one entry a condition and method, once the run has ended.

    Raises:
        ArgumentError: an argument is wrong.
    """

    command_line_settings = frozenset({"overwrite", "paths", "run_dir"})

    def __init__(
        self,
        *,
        fractions: Sequence[float] = (0.1, 0.3, 0.5, 1.0),
        fill: Fill = "zero",
        tokens: Tokens = "path",
        paths: str | Path | None = None,
        seed: int = 0,
        replicates: int = 1000,
        read_batch: str | Callable[[Any], Any] | None = None,
        overwrite: bool = False,
        run_dir: str | Path | None = None,
        vit: str | None = None,
    ) -> None:
        all_conditions(1, (), fractions)
        check_choice("fill", fill, FILLS)
        check_choice("tokens", tokens, TOKENS)
        check_at_least("replicates", replicates, 0)
        self.fractions = tuple(fractions)
        self.fill = fill
        self.tokens = tokens
        self.paths = paths
        self.seed = seed
        self.replicates = replicates
        self.read = batch_reader(read_batch)
        self.overwrite = overwrite
        self.run_dir = run_dir
        self.vit = vit
        self.results: list[ConditionResult] = []
        self._stored: tuple[Paths, int] | None = None
        self._other_weights: str | None = None
        self._own_step = OwnStep()

    @property
    def state_key(self) -> str:
        return self._generate_state_key(run_dir=str(self.run_dir), vit=self.vit)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._started = False
        if not self._follows(trainer):
            return
        refuse_sharded(trainer)
        self.refuse_double(trainer)
        if self.paths is None and search_of(trainer, self) is None:
            raise ArgumentError(
                "PathEvaluation needs category paths: give `paths` (--paths), a finished run folder, "
                "or in `validate` a NeuronPathSearch in the same Trainer"
            )
        if self.fill != "zero" and trainer.state.fn == TrainerFn.TESTING:
            raise ArgumentError(
                f"`fill` must be 'zero' in `test`, without discover images to gather others from, got {self.fill!r}"
            )
        self._stored = None
        if self.paths is not None:
            stored = RunFolder(self.paths)
            self._stored = stored.read_category_paths()
            stored.check_same("search", data_identity(trainer))

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._follows(trainer):
            self._check_model(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started = False
        if not self._follows(trainer):
            return
        end_together(trainer)
        check_validation_loaders(trainer, self, held_out=True)
        check_loaders(trainer, trainer.val_dataloaders, "validation loader")
        self._check_model(trainer, pl_module)
        # In `fit` the weights that are tested are settled only later.
        if not fitting(trainer):
            self._start(trainer, pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        end_together(trainer)
        check_loaders(trainer, trainer.test_dataloaders, "test loader")
        self._check_model(trainer, pl_module)
        self._start(trainer, pl_module)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if dataloader_idx == 1 and self._evaluates(trainer):
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
        if dataloader_idx == 1 and self._evaluates(trainer):
            self._update(trainer, pl_module, batch, dataloader_idx)
            check_sigterm(trainer)

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        # In `validate` the search watches. A ViT that is named is tested alone where the forward does not run it.
        if batch_idx == 0 and self.vit_name(trainer) is None:
            self._own_step.watch(self.open_vit(trainer, pl_module))

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._update(trainer, pl_module, batch, dataloader_idx)
        check_sigterm(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._evaluates(trainer):
            self._start(trainer, pl_module)
            self._finish(trainer, pl_module)
            if fitting(trainer):
                self._release()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._finish(trainer, pl_module)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._release()
        release(trainer)
        if self._follows(trainer):
            refuse_idle(trainer, self, self._started)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._release()
        release(trainer, exception)

    def _follows(self, trainer: Trainer) -> bool:
        """Whether this run is one that it evaluates, in some of its loops at least."""
        if fitting(trainer):
            search = search_of(trainer, self)
            return search is not None and search.every_n_epochs is not None
        return trainer.state.fn in (TrainerFn.VALIDATING, TrainerFn.TESTING)

    def _evaluates(self, trainer: Trainer) -> bool:
        """Whether it evaluates in the validation at hand."""
        if fitting(trainer):
            search = search_of(trainer, self)
            return search is not None and search.active
        return trainer.state.fn == TrainerFn.VALIDATING

    def _check_model(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse paths of another model. Not in `setup`: the module may make its model after it."""
        vit = self.open_vit(trainer, pl_module)
        search = search_of(trainer, self)
        if search is not None:
            search.check_model(trainer, pl_module)  # which may come later among the callbacks
        for sizes in (self._stored[0] if self._stored is not None else {}).values():
            for paths in sizes.values():
                check_neurons(paths.neurons, vit.widths, images=vit.num_classes)

    def _start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Once a loop. Not in `setup`: the weights of a `ckpt_path` are loaded after it."""
        if self._started:
            return
        self._started = True
        search = search_of(trainer, self)
        if fitting(trainer) and search is not None:
            # Every process must do things in the same order, also one without images.
            search.conclude(trainer, pl_module)
        if self._stored is not None:
            methods, top_k = list(self._stored[0]), self._stored[1]
            sizes = sorted(self._stored[0][methods[0]])
        else:
            assert search is not None
            methods, top_k, sizes = [one.name for one in search.searches], search.top_k, list(search.sizes)
        self._top_k = top_k
        conditions = all_conditions(top_k, sizes, self.fractions)
        vit = self.open_vit(trainer, pl_module)
        weights = fingerprint(vit.searched)
        self._other_weights = self._compare_weights(weights)
        self._run = results_folder(trainer, self.run_dir)
        settings = {
            "methods": methods,
            "fractions": list(self.fractions),
            "fill": self.fill,
            "tokens": self.tokens,
            "seed": self.seed,
            "replicates": self.replicates,
            "paths": None if self.paths is None else RunFolder(self.paths).category_digest(),
            "model": weights,
            **data_limit(trainer, slice(None) if trainer.state.fn == TrainerFn.TESTING else slice(1, 2)),
        }
        overwrite = self.overwrite or fitting(trainer)
        on_first_process(trainer, lambda: self._run.claim("evaluation", settings, overwrite=overwrite))
        self._counted, self._images = CountedImages(), ImageDigest()
        self._metrics = {
            method: ConditionMetrics(conditions, vit.num_classes, method=method, replicates=self.replicates).to(
                pl_module.device
            )
            for method in methods
        }
        self._references = None if trainer.state.fn == TrainerFn.TESTING else self._gather(trainer, pl_module)

    def _compare_weights(self, weights: str) -> str | None:
        """What to tell where the paths that are tested were found with other weights, which is not refused."""
        if self.paths is None:
            return None
        differences = RunFolder(self.paths).differences("search", {"model": weights})
        if not differences:
            return None
        note = f"the paths of {self.paths} were found with other weights ({differences})"
        rank_zero_warn(f"{note}; where the same are meant, give the checkpoint and precision they were found with")
        return note

    def _gather(self, trainer: Trainer, pl_module: LightningModule) -> References | None:
        """What the fill writes, from the discover images of all processes."""
        if self.fill == "zero":
            return None
        step: Gathering | References = gathering(
            self.open_vit(trainer, pl_module), self.fill, tokens=self.tokens, seed=self.seed
        )
        with isolate_rng():
            while isinstance(step, Gathering):
                for batch in discover_pass(trainer, pl_module, self.read, "Gathering references"):
                    with trainer.precision_plugin.forward_context():
                        step.update(batch.images)
                step = step.finish()
        return step

    def _update(self, trainer: Trainer, pl_module: LightningModule, batch: Any, loader: int) -> None:
        found = self.read(batch)
        if found.labels is None:
            raise ArgumentError("the batch must have labels to evaluate paths with, got images alone")
        # Before the model is opened: the hook of its own is no part of it.
        entered = self._own_step.release()
        vit = self.open_vit(trainer, pl_module)
        vit.check_targets(found.labels, len(found), "labels")
        self._counted.add(found, loader)
        conditions = next(iter(self._metrics.values())).conditions
        with trainer.precision_plugin.forward_context():
            check_entered(entered, vit, found.images)
            edited = predictions(
                vit,
                found.images,
                found.labels,
                conditions,
                self._paths(trainer),
                seed=self.seed,
                references=self._references,
                tokens=self.tokens,
            )
        keys = image_keys(found.images)
        self._images.update(found.index, found.labels, keys)
        for method, metrics in self._metrics.items():
            clean = edited[method][0]
            broken = (~clean.isfinite().all(1)).nonzero().flatten().tolist()
            if broken:
                raise NonFiniteError("the clean pass gave NaN or infinite values", broken)
            metrics.update(edited[method], found.labels, keys)

    def _paths(self, trainer: Trainer) -> Paths:
        if self._stored is not None:
            return self._stored[0]
        search = search_of(trainer, self)
        assert search is not None
        return search.category_paths

    def _finish(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Every process takes part; after that the first needs no other.
        images = over_processes(trainer, self._images)
        refuse_no_images(self, images)
        self._counted.refuse_repeated(trainer)
        on_first_process(trainer, lambda: claim_held_out(self._run, images))
        self.results = [result for one in self._metrics.values() for result in one.compute()]
        found = on_first_process(trainer, lambda: self._findings(trainer, self.open_vit(trainer, pl_module)))
        self.results = found.results
        if not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            logger.log_metrics(_scalars(found), step=trainer.global_step)
        for part in findings_tables(found, self._run.path):
            rich.get_console().print(part)

    def _findings(self, trainer: Trainer, vit: OpenViT) -> Findings:
        """Put the findings together and write them."""
        search = search_of(trainer, self)
        searched = search is not None and self._stored is None
        found = findings(
            self._metrics,
            read_searches(search.run, list(self._metrics)) if searched and search is not None else None,
            top_k=self._top_k,
            widths=vit.widths,
            num_classes=vit.num_classes,
            notes=[*(search.notes if searched and search is not None else ()), *self._notes()],
        )
        self._run.write_metrics([result.to_dict() for result in found.results], found.to_dict())
        if len(self._metrics) > 1:
            self._run.write(COMPARISON_MARKDOWN, findings_to_markdown(found))
            self._run.write(COMPARISON_LATEX, to_latex(found.comparison))
        return found

    def _notes(self) -> list[str]:
        notes = []
        if self.fill != "zero":
            notes.append(f"pruned neurons hold their fill {self.fill!r}, not 0")
        if self.tokens == "all":
            notes.append("neurons are edited at every token, not at the path tokens alone")
        if self._other_weights is not None:
            notes.append(self._other_weights)
        return notes

    def _release(self) -> None:
        self._own_step.release()
        run = getattr(self, "_run", None)
        if run is not None:
            run.release()


def search_of(trainer: Trainer, callback: ViTCallback) -> NeuronPathSearch | None:
    """The search of the same Trainer with the callback's `vit`, and of several the one with its `run_dir` too.

    Raises:
        ArgumentError: there are some, and not exactly one of them has these.
    """
    if trainer.state.fn not in (TrainerFn.VALIDATING, TrainerFn.FITTING):
        return None
    callbacks = getattr(trainer, "callbacks", [])
    found = [one for one in callbacks if isinstance(one, NeuronPathSearch)]
    several = len(found) > 1
    alike = [
        one
        for one in found
        if (one.folder == callback.folder or not several) and one.vit_name(trainer) == callback.vit_name(trainer)
    ]
    if found and len(alike) != 1:
        raise ArgumentError(
            f"{type(callback).__name__} must share {'`run_dir` and ' if several else ''}`vit` with exactly one "
            f"NeuronPathSearch of the Trainer, but it does with {len(alike)} of {len(found)}"
        )
    return alike[0] if alike else None


def image_keys(images: Tensor) -> Tensor:
    """What names each image whatever its batch and number: the same as in the rows of a search."""
    return torch.tensor(checksums(images), device=images.device)


def _scalars(found: Findings) -> dict[str, float]:
    """What loggers get: `paths/METHOD/…`, without the method where there is one alone."""
    scalars = {}
    for result in found.results:
        parts = [result.method] if len(found.comparison.methods) > 1 and result.condition != "clean" else []
        parts.append(result.condition)
        if result.pruned is not None:
            parts.append(f"{result.kept}_pruned_{result.pruned:.0%}")
        for name, estimate in result.values.items():
            scalars["/".join(["paths", *parts, name])] = estimate.value
    return scalars
