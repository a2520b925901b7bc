"""Search neuron paths inside a Lightning run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.seed import isolate_rng

from nplight.callbacks.category_passes import search_categories
from nplight.callbacks.common import (
    check_loaders,
    check_validation_loaders,
    data_identity,
    data_limit,
    fitting,
    on_first_process,
    over_processes,
    refuse_idle,
    refuse_sharded,
    refuse_shuffled,
    refuse_unvalidated,
    results_folder,
    run_folder,
)
from nplight.callbacks.ending import check_sigterm, end_together, release
from nplight.callbacks.image_rows import ImageRows
from nplight.callbacks.own_step import OwnStep, check_entered
from nplight.callbacks.vit_callback import ViTCallback
from nplight.data import ImageBatch, ImageDigest, batch_reader, with_index
from nplight.errors import ArgumentError, RunFolderError, check_at_least, check_choice, listed
from nplight.paths import CategoryPaths
from nplight.results import form_category_paths
from nplight.searching import CATEGORY_METHODS, NamedSearch, SearchOptions, named_searches
from nplight.seeds import checksums
from nplight.store import PathTable, RunFolder, StoredImages, read_searches, stored_images
from nplight.vit import OpenViT, fingerprint, refuse_hooks

TARGETS = ("label", "prediction")


class NeuronPathSearch(ViTCallback):
    """Finds the neuron path of every image, and of every category, and writes them to the run folder.

    In `validate` it searches each image of the first loader (the discover split) and, when that ends, forms the
    category paths. In `predict` it searches each image for its predicted category. Images that the run folder already
    holds are not searched again. In `fit` it does nothing, or, with `every_n_epochs`, what it does in `validate`,
    without changing a bit of the training. It does nothing in `test`.

    Args:
        method: one of `nplight.METHODS`.
        top_k: neurons a layer on the path.
        kept: numbers of neurons a layer for which category paths are formed besides, from the ranking of one search.
        steps: quadrature nodes.
        rule: one of `nplight.RULES`.
        patch_stream: `exact`; or `frozen`, an approximation: of several searches those of method `jas` use it.
        chunk_size: (image, node) rows in flight; `None` picks from the memory there is.
        target: the category whose probability is attributed in `validate`: `label` or `prediction`.
        category_method: `frequency`, `rank-mode` or `mean-score`.
        methods: several searches to compare, in place of `method`: names of `nplight.METHODS`, or mappings of `method`
            and, where wanted, `name`, `granularity` (`image` or `category`), `search_per_t`, `steps`, `rule`,
            `patch_stream` and `seed`.
        every_n_epochs: in `fit`, search at the first validation of every n-th epoch, into `epoch-NNNN/` of the run
            folder, counted from 0; a PathEvaluation of the same Trainer then tests there. `None`: `fit` is left alone.
        read_batch: what turns the project's batches into ones that `nplight.data.read_batch` takes: a function, or its
            dotted name; `None`: they are such.
        overwrite: replace the results that the run folder holds, also those of other settings.
        run_dir: where results go; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule; `None`: that of the other callbacks,
            else the only one there is.

    Attributes:
        searches: what is searched.
        category_paths: search -> neurons a layer -> category paths, once the first loader of `validate` has ended.

    Raises:
        ArgumentError: an argument is wrong.
    """

    command_line_settings = frozenset({"methods", "overwrite", "run_dir"})

    def __init__(
        self,
        *,
        method: str = "jas",
        top_k: int = 1,
        kept: Sequence[int] = (1, 5, 10, 30, 50),
        steps: int = 20,
        rule: str = "riemann-left",
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
        check_choice("target", target, TARGETS)
        check_choice("category_method", category_method, CATEGORY_METHODS)
        for size in kept:
            check_at_least("kept", size, 1)
        if every_n_epochs is not None:
            check_at_least("every_n_epochs", every_n_epochs, 1)
        options = SearchOptions(top_k, max([top_k, *kept]), steps, rule, patch_stream, chunk_size)
        self.searches: tuple[NamedSearch, ...] = named_searches([method] if methods is None else methods, options)
        self.options = options
        self.kept = tuple(kept)
        self.target = target
        self.category_method = category_method
        self.every_n_epochs = every_n_epochs
        self.read = batch_reader(read_batch)
        self.overwrite = overwrite
        self.run_dir = run_dir
        self.vit = vit
        self.category_paths: dict[str, dict[int, CategoryPaths]] = {}
        self._active = False
        self._epoch = -1  # the last that was searched in `fit`
        self._started = False
        self._concluded = False
        self._own_step = OwnStep()

    @property
    def state_key(self) -> str:
        return self._generate_state_key(
            run_dir=str(self.run_dir), vit=self.vit, searches=[one.name for one in self.searches]
        )

    def state_dict(self) -> dict[str, Any]:
        return {} if self.every_n_epochs is None else {"epoch": self._epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._epoch = state_dict["epoch"]

    @property
    def active(self) -> bool:
        """Whether it searches in the loop at hand."""
        return self._active

    @property
    def top_k(self) -> int:
        """Neurons a layer on the path."""
        return self.options.top_k

    @property
    def run(self) -> RunFolder:
        """Where results go, once a run has started."""
        return self._run

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of neurons a layer of the category paths: `top_k` and `kept`, capped at the narrowest layer."""
        return tuple(sorted({min(size, self._ranked) for size in (self.top_k, *self.kept)}))

    @property
    def notes(self) -> list[str]:
        """What a reader of the results must know."""
        notes = []
        if capped := [size for size in self.kept if size > self._ranked]:
            notes.append(
                f"{listed(capped)} neurons a layer were asked for; the narrowest layer has {self._ranked}, kept instead"
            )
        if frozen := [one.name for one in self.searches if one.options.patch_stream == "frozen"]:
            notes.append(f"{listed(frozen)}: an approximation, with the patch tokens frozen at their clean values")
        return notes

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._active = trainer.state.fn in (TrainerFn.VALIDATING, TrainerFn.PREDICTING)
        self._epoch = -1
        self._started = False
        if not self._active and not self._follows(trainer):
            return
        refuse_sharded(trainer)
        self.refuse_double(trainer)
        self.category_paths = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._follows(trainer):
            refuse_unvalidated(trainer)
            self.check_model(trainer, pl_module)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._follows(trainer) and self._epoch < 0:
            rank_zero_warn(
                f"no epoch of this training was searched: `every_n_epochs` is {self.every_n_epochs}, and the training "
                f"validated in none of these epochs; train longer, or lower it"
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._follows(trainer):
            run = run_folder(trainer, self.run_dir)
            on_first_process(trainer, lambda: self._refuse_other_training(trainer, run))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._follows(trainer):
            due = (trainer.current_epoch + 1) % (self.every_n_epochs or 1) == 0
            self._active = due and self._epoch != trainer.current_epoch and not trainer.sanity_checking
        self._started = self._concluded = False
        end_together(trainer)
        if self._active or self._follows(trainer):
            check_validation_loaders(trainer, self, held_out=False)
            if math.isinf(trainer.num_val_batches[0]):
                raise ArgumentError(
                    "the first validation loader must have a length, at whose end category paths are formed; "
                    "give its data set a __len__, or set limit_val_batches to a number"
                )
            check_loaders(trainer, trainer.val_dataloaders, "validation loader")
            self.check_model(trainer, pl_module)
        # In `fit` another callback may put averaged weights in place after this.
        if self._active and not fitting(trainer):
            self._start(trainer, pl_module)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        by_category = [search.name for search in self.searches if search.granularity == "category"]
        if by_category:
            raise ArgumentError(f"predict has no labels for granularity 'category', asked for by {listed(by_category)}")
        end_together(trainer)
        check_loaders(trainer, trainer.predict_dataloaders, "predict loader")
        self.check_model(trainer, pl_module)
        self._started = False
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
        if not self._active or dataloader_idx != 0:
            return
        found = self.read(batch)
        if found.labels is None:
            raise ArgumentError("the batch must have labels, from which category paths are formed; got images alone")
        self._search(trainer, pl_module, found)
        check_sigterm(trainer)
        if batch_idx == trainer.num_val_batches[0] - 1:
            self.conclude(trainer, pl_module)

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._search(trainer, pl_module, self.read(batch))
        check_sigterm(trainer)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if self._active:
            self._start(trainer, pl_module)
            if dataloader_idx == 1:
                self.conclude(trainer, pl_module)
            elif batch_idx == 0:
                self._watch(trainer, pl_module)

    def on_predict_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if batch_idx == 0:
            self._watch(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._active:
            self.conclude(trainer, pl_module)
            if fitting(trainer):
                self._epoch = trainer.current_epoch
                self._release()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._release()
        release(trainer)
        if self._active:
            refuse_idle(trainer, self, self._started)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._release()
        release(trainer, exception)

    def conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Once, on every process, also one without images: nothing is left but the category paths."""
        self._start(trainer, pl_module)
        if self._concluded:
            return
        self._concluded = True
        images = over_processes(trainer, self._images)
        if images.images == 0:
            raise ArgumentError("the first validation loader must give images to find paths with, but it gave none")
        vit = self.open_vit(trainer, pl_module)
        for search in self.searches:
            if search.granularity == "category":
                (rows,) = self._rows[search.name]
                predicted = self.target == "prediction"
                with isolate_rng():
                    search_categories(trainer, pl_module, vit, rows, images, predicted=predicted, read=self.read)
        trainer.strategy.barrier("nplight: every process has written its paths")
        self.category_paths = on_first_process(trainer, lambda: self._form_category_paths(vit.num_classes, images))

    def _watch(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # One that is named is searched alone where the module's forward does not run it.
        if self.vit_name(trainer) is None:
            self._own_step.watch(self.open_vit(trainer, pl_module))

    def check_model(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse a model that cannot be searched. Not in `setup`: the module may make its model after it."""
        vit = self.open_vit(trainer, pl_module)
        refuse_hooks(vit)
        vit.check_top_k(self.top_k)
        self._ranked = min(self.options.ranked, min(vit.widths))

    def _follows(self, trainer: Trainer) -> bool:
        return fitting(trainer) and self.every_n_epochs is not None

    def _refuse_other_training(self, trainer: Trainer, run: RunFolder) -> None:
        """Epochs that another training left; one that goes on from a checkpoint writes those after it anew."""
        left = sorted(path.name for path in run.path.glob("epoch-*"))
        if left and not self.overwrite and trainer.ckpt_path is None:
            raise RunFolderError(
                f"`run_dir` {run.path} already holds paths of another training ({listed(left)}); "
                f"name another run_dir, go on from its checkpoint, or replace them with overwrite"
            )

    def _start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Once a loop. Not in `setup`: the weights of a `ckpt_path` are loaded after it."""
        if self._started:
            return
        self._started = True
        self._run = results_folder(trainer, self.run_dir)
        settings = self._settings(trainer, self.open_vit(trainer, pl_module))
        skipped = getattr(getattr(trainer, "datamodule", None), "skipped", ())
        overwrite = self.overwrite or fitting(trainer)
        self._rows = on_first_process(trainer, lambda: self._claim(settings, skipped, overwrite))
        self._images = ImageDigest()

    def _claim(
        self, settings: Mapping[str, Any], skipped: Sequence[tuple[str, str]], overwrite: bool
    ) -> dict[str, list[ImageRows]]:
        """Take the run folder, list the files that the data left out, and say which images it holds already."""
        self._run.claim("search", settings, overwrite=overwrite)
        for search in self.searches:
            self._run.claim(f"search {search.name}", search.settings())
        if skipped:
            self._run.write_skipped(skipped)
        found = {}
        for search in self.searches:
            own = self._run.search_fingerprint(search.name)
            found[search.name] = [
                ImageRows(self._run, one, stored_images(self._run, one.name, own), own)
                for one in search.image_searches(self.sizes)
            ]
        self._tell_of_parts_set_aside([one.stored for rows in found.values() for one in rows])
        return found

    def _tell_of_parts_set_aside(self, stored: Sequence[StoredImages]) -> None:
        damaged = [path.name for images in stored for path in images.damaged]
        foreign = [path.name for images in stored for path in images.foreign]
        kinds = (("damaged parts", damaged), ("parts of another run, or of one that they do not name,", foreign))
        for kind, names in kinds:
            if names:
                rank_zero_warn(
                    f"{kind} in {self._run.parts} were set aside as {listed(names)}; their images are searched again"
                )

    def _search(self, trainer: Trainer, pl_module: LightningModule, batch: ImageBatch) -> None:
        if batch.index is None and trainer.world_size > 1:
            raise ArgumentError(
                "a batch must carry the `index` of each image when several processes share the images; "
                "add it to the samples, as (image, label, index), or use one device"
            )
        if batch.index is None:
            refuse_shuffled(trainer)
        batch = with_index(batch, self._images.images)
        predicted = self.target == "prediction" or trainer.state.fn == TrainerFn.PREDICTING
        # Before the model is opened: the hook of its own is no part of it.
        entered = self._own_step.release()
        vit, sums = self.open_vit(trainer, pl_module), checksums(batch.images)
        with trainer.precision_plugin.forward_context():
            check_entered(entered, vit, batch.images)
        self._images.update(batch.index, batch.labels, sums)
        for search in self.searches:
            if search.granularity == "image":
                for rows in self._rows[search.name]:
                    with trainer.precision_plugin.forward_context():
                        rows.search(vit, batch, sums, predicted=predicted)

    def _form_category_paths(self, num_classes: int, images: ImageDigest) -> dict[str, dict[int, CategoryPaths]]:
        names = [one.rows.name for searched in self._rows.values() for one in searched]
        table, paths = read_searches(self._run, names), {}
        for search in self.searches:
            sizes: dict[int, CategoryPaths] = {}
            for image_rows in self._rows[search.name]:
                rows = image_rows.rows
                own = table.where(search=rows.name)
                self._refuse_other_images(own, images)
                sizes |= form_category_paths(
                    own,
                    rows.sizes,
                    num_classes=num_classes,
                    category_method=self.category_method,
                )
            paths[search.name] = dict(sorted(sizes.items()))
        self._run.write_category_paths(paths, self.top_k)
        return paths

    def _refuse_other_images(self, table: PathTable, images: ImageDigest) -> None:
        """Refuse stored paths of images that this run lacks or labels otherwise: category paths would count them."""
        stored = ImageDigest()
        for rows in table.batches(["index", "label", "checksum"]):
            stored.update(rows["index"], rows["label"], rows["checksum"])
        if stored != images:
            raise RunFolderError(
                f"`run_dir` {self._run.path} holds paths of other images than this run's ({stored} there, {images} "
                f"now); name another --run_dir, or replace its results with --overwrite"
            )

    def _settings(self, trainer: Trainer, vit: OpenViT) -> dict[str, Any]:
        identity = data_identity(trainer)
        predicting = trainer.state.fn == TrainerFn.PREDICTING
        if not predicting and identity.get("categories", vit.num_classes) != vit.num_classes:
            raise ArgumentError(
                f"the model must tell apart the {identity['categories']} categories of the data, each of which gets a "
                f"path, but it knows {vit.num_classes}; give it a head for them, or other data"
            )
        return {
            "command": "predict" if predicting else "validate",
            "top_k": self.top_k,
            "ranked": self._ranked,
            "target": "prediction" if predicting else self.target,
            "category_method": self.category_method,
            "kept": list(self.kept),
            "precision": str(trainer.precision),
            "model": fingerprint(vit.searched),
            **identity,
            **data_limit(trainer, slice(None) if predicting else slice(1)),
        }

    def _release(self) -> None:
        self._own_step.release()
        run = getattr(self, "_run", None)
        if run is not None:
            run.release()
