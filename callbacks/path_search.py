"""Search neuron paths inside a Lightning run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from nplight.callbacks.category_passes import search_categories
from nplight.callbacks.common import on_first_process, run_folder
from nplight.callbacks.image_rows import ImageRows
from nplight.compare import form_category_paths
from nplight.data import ImageBatch, read_batch, with_index
from nplight.errors import ArgumentError, check_at_least, check_choice, listed
from nplight.paths import CategoryPaths
from nplight.search import CATEGORY_METHODS, NamedSearch, SearchOptions, named_searches
from nplight.seeds import checksums
from nplight.store import RunFolder, read_paths, stored_images
from nplight.vit import OpenViT, fingerprint, open_vit

TARGETS = ("label", "prediction")


class NeuronPathSearch(Callback):
    """Finds the neuron path of every image, and of every category, and writes them to the run folder.

    In `validate` it searches each image of the first loader (the discover split) and, when that ends, forms the
    category paths. In `predict` it searches each image for its predicted category. Images that the run folder already
    holds are not searched again. It does nothing in `fit` and `test`.

    Args:
        method: one of `nplight.METHODS`.
        top_k: neurons a layer on the path.
        kept: numbers of neurons a layer for which category paths are formed besides, from the ranking of one search.
        steps: quadrature nodes.
        rule: one of `nplight.RULES`.
        patch_stream: `exact` or `frozen`.
        chunk_size: (image, node) rows in flight; `None` picks from the memory there is.
        target: the category whose probability is attributed in `validate`: `label` or `prediction`.
        category_method: `frequency`, `rank-mode` or `mean-score`.
        methods: several searches to compare, in place of `method`: names of `nplight.METHODS`, or mappings of `method`
            and, where wanted, `name`, `granularity` (`image` or `category`), `search_per_t`, `steps`, `rule`,
            `patch_stream` and `seed`.
        overwrite: replace the results that the run folder holds, also those of other settings.
        run_dir: where results go; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule; `None`: the only one there is.

    Attributes:
        searches: what is searched.
        category_paths: search -> neurons a layer -> category paths, once the first loader of `validate` has ended.

    Raises:
        ArgumentError: an argument is wrong.
    """

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
        overwrite: bool = False,
        run_dir: str | Path | None = None,
        vit: str | None = None,
    ) -> None:
        check_choice("target", target, TARGETS)
        check_choice("category_method", category_method, CATEGORY_METHODS)
        for size in kept:
            check_at_least("kept", size, 1)
        options = SearchOptions(top_k, max([top_k, *kept]), steps, rule, patch_stream, chunk_size)
        self.searches: tuple[NamedSearch, ...] = named_searches([method] if methods is None else methods, options)
        self.options = options
        self.kept = tuple(kept)
        self.target = target
        self.category_method = category_method
        self.overwrite = overwrite
        self.run_dir = run_dir
        self.vit = vit
        self.category_paths: dict[str, dict[int, CategoryPaths]] = {}
        self._concluded = True

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
        if not _searches(trainer):
            return
        vit = open_vit(pl_module, self.vit)
        vit.check_top_k(self.top_k)
        self._ranked = min(self.options.ranked, min(vit.widths))
        self.category_paths = {}

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if _searches(trainer):
            if math.isinf(trainer.num_val_batches[0]):
                raise ArgumentError(
                    "the first validation loader must have a length, at whose end category paths are formed; "
                    "give its data set a __len__, or set limit_val_batches to a number"
                )
            self._start(trainer, pl_module)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        by_category = [search.name for search in self.searches if search.granularity == "category"]
        if by_category:
            raise ArgumentError(f"predict has no labels for granularity 'category', asked for by {listed(by_category)}")
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
        if not _searches(trainer) or dataloader_idx != 0:
            return
        found = read_batch(batch)
        if found.labels is None:
            raise ArgumentError("the batch must have labels, from which category paths are formed; got images alone")
        self._search(trainer, pl_module, found)
        if batch_idx == trainer.num_val_batches[0] - 1:
            self._conclude(trainer, pl_module)

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._search(trainer, pl_module, read_batch(batch))

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if _searches(trainer) and dataloader_idx == 1:
            self._conclude(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if _searches(trainer):
            self._conclude(trainer, pl_module)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._release()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._release()

    def _start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Not in `setup`: the weights of a `ckpt_path` are loaded after it.
        self._run = run_folder(trainer, self.run_dir)
        settings = self._settings(trainer, open_vit(pl_module, self.vit))
        skipped = getattr(getattr(trainer, "datamodule", None), "skipped", ())
        self._rows = on_first_process(trainer, lambda: self._claim(settings, skipped))
        self._seen = 0
        self._concluded = False

    def _claim(self, settings: Mapping[str, Any], skipped: Sequence[tuple[str, str]]) -> dict[str, list[ImageRows]]:
        """Take the run folder, list the files that the data left out, and say which images it holds already."""
        self._run.claim("search", settings, overwrite=self.overwrite)
        for search in self.searches:
            self._run.claim(f"search {search.name}", search.settings())
        if skipped:
            self._run.write_skipped(skipped)
        found = {}
        for search in self.searches:
            rows = search.rows(self.sizes)
            found[search.name] = [ImageRows(self._run, one, stored_images(self._run, one.name)) for one in rows]
        damaged = [path.name for rows in found.values() for one in rows for path in one.stored.damaged]
        if damaged:
            names = listed(damaged)
            rank_zero_warn(
                f"damaged parts in {self._run.parts} were set aside as {names}; their images are searched again"
            )
        return found

    def _search(self, trainer: Trainer, pl_module: LightningModule, batch: ImageBatch) -> None:
        if batch.index is None and trainer.world_size > 1:
            raise ArgumentError(
                "a batch must carry the `index` of each image when several processes share the images; "
                "add it to the samples, as (image, label, index), or use one device"
            )
        batch = with_index(batch, self._seen)
        self._seen += len(batch)
        predicted = self.target == "prediction" or trainer.state.fn == TrainerFn.PREDICTING
        vit, sums = open_vit(pl_module, self.vit), checksums(batch.images)
        for search in self.searches:
            if search.granularity == "image":
                for rows in self._rows[search.name]:
                    with trainer.precision_plugin.forward_context():
                        rows.search(vit, batch, sums, predicted=predicted)

    def _conclude(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Once, on every process, also one without images: nothing is left but the category paths."""
        if self._concluded:
            return
        self._concluded = True
        vit = open_vit(pl_module, self.vit)
        for search in self.searches:
            if search.granularity == "category":
                (rows,) = self._rows[search.name]
                search_categories(trainer, pl_module, vit, rows, self._seen, predicted=self.target == "prediction")
        trainer.strategy.barrier("nplight: every process has written its paths")
        self.category_paths = on_first_process(trainer, lambda: self._form_category_paths(vit.num_classes))

    def _form_category_paths(self, num_classes: int) -> dict[str, dict[int, CategoryPaths]]:
        table, paths = read_paths(self._run.path), {}
        for search in self.searches:
            sizes: dict[int, CategoryPaths] = {}
            for image_rows in self._rows[search.name]:
                rows = image_rows.rows
                sizes |= form_category_paths(
                    table.where(method=rows.name),
                    rows.sizes,
                    num_classes=num_classes,
                    category_method=self.category_method,
                )
            paths[search.name] = dict(sorted(sizes.items()))
        self._run.write_category_paths(paths, self.top_k)
        return paths

    def _settings(self, trainer: Trainer, vit: OpenViT) -> dict[str, Any]:
        identity = getattr(getattr(trainer, "datamodule", None), "identity", None)
        predicting = trainer.state.fn == TrainerFn.PREDICTING
        return {
            "command": "predict" if predicting else "validate",
            "top_k": self.top_k,
            "ranked": self._ranked,
            "target": "prediction" if predicting else self.target,
            "category_method": self.category_method,
            "kept": list(self.kept),
            "precision": str(trainer.precision),
            "model": fingerprint(vit.model),
            **(identity() if callable(identity) else {}),
        }

    def _release(self) -> None:
        run = getattr(self, "_run", None)
        if run is not None:
            run.release()


def _searches(trainer: Trainer) -> bool:
    return trainer.state.fn in (TrainerFn.VALIDATING, TrainerFn.PREDICTING) and not trainer.sanity_checking
