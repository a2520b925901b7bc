"""Search neuron paths inside a Lightning run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from nplight.callbacks.common import on_first_process, run_folder
from nplight.data import ImageBatch, read_batch, with_index
from nplight.errors import ArgumentError, NonFiniteError, RunFolderError, check_at_least, check_choice, listed
from nplight.paths import CategoryPaths
from nplight.search import CATEGORY_METHODS, METHODS, CategoryVotes, SearchOptions, search
from nplight.seeds import checksums
from nplight.store import PathTable, RunFolder, part_files, write_part
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
        patch_stream: `exact`.
        chunk_size: (image, node) rows in flight; `None` picks from the memory there is.
        target: the category whose probability is attributed in `validate`: `label` or `prediction`.
        category_method: `frequency`, `rank-mode` or `mean-score`.
        run_dir: where results go; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule; `None`: the only one there is.

    Attributes:
        category_paths: neurons a layer -> category paths, once the first loader of `validate` has ended.

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
        run_dir: str | Path | None = None,
        vit: str | None = None,
    ) -> None:
        check_choice("method", method, METHODS)
        check_choice("target", target, TARGETS)
        check_choice("category_method", category_method, CATEGORY_METHODS)
        for size in kept:
            check_at_least("kept", size, 1)
        self.method = method
        self.options = SearchOptions(top_k, max([top_k, *kept]), steps, rule, patch_stream, chunk_size)
        self.kept = tuple(kept)
        self.target = target
        self.category_method = category_method
        self.run_dir = run_dir
        self.vit = vit
        self.category_paths: dict[int, CategoryPaths] = {}

    @property
    def top_k(self) -> int:
        """Neurons a layer on the path."""
        return self.options.top_k

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of neurons a layer of the category paths: `top_k` and `kept`, capped at the narrowest layer."""
        return tuple(sorted({min(size, self._ranked) for size in (self.top_k, *self.kept)}))

    @property
    def notes(self) -> list[str]:
        """What a reader of the results must know."""
        capped = [size for size in self.kept if size > self._ranked]
        if not capped:
            return []
        return [
            f"{listed(capped)} neurons a layer were asked for; the narrowest layer has {self._ranked}, kept instead"
        ]

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
        self._start(trainer, pl_module)

    def _start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Not in `setup`: the weights of a `ckpt_path` are loaded after it.
        self._run = run_folder(trainer, self.run_dir)
        settings = self._settings(trainer, open_vit(pl_module, self.vit))
        skipped = getattr(getattr(trainer, "datamodule", None), "skipped", ())
        self._done = on_first_process(trainer, lambda: _claim(self._run, settings, skipped))
        self._seen = 0

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
            trainer.strategy.barrier("nplight: every process has written its paths")
            num_classes = open_vit(pl_module, self.vit).num_classes
            self.category_paths = on_first_process(trainer, lambda: self._form_category_paths(num_classes))

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

    def _search(self, trainer: Trainer, pl_module: LightningModule, batch: ImageBatch) -> None:
        if batch.index is None and trainer.world_size > 1:
            raise ArgumentError(
                "a batch must carry the `index` of each image when several processes share the images; "
                "add it to the samples, as (image, label, index), or use one device"
            )
        batch = with_index(batch, self._seen)
        self._seen += len(batch)
        assert batch.index is not None
        index = batch.index.tolist()
        if len(set(index)) < len(index):
            raise ArgumentError(f"`index` must number each image of a batch differently, got {listed(index, 20)}")
        sums = checksums(batch.images)
        others = [number for number, checksum in zip(index, sums) if self._done.get(number, checksum) != checksum]
        if others:
            raise RunFolderError(
                f"`run_dir` {self._run.path} already holds paths of other images under the numbers {listed(others)}; "
                f"name another run_dir, and give each image an `index` of its own that does not depend on the order"
            )
        new = [position for position, number in enumerate(index) if number not in self._done]
        if new:
            chosen = [sums[position] for position in new]
            self._search_new(trainer, pl_module, _select(batch, torch.tensor(new)), chosen)

    def _search_new(self, trainer: Trainer, pl_module: LightningModule, batch: ImageBatch, sums: Sequence[int]) -> None:
        assert batch.index is not None
        predicted = self.target == "prediction" or trainer.state.fn == TrainerFn.PREDICTING
        names = batch.files or tuple(f"image {number}" for number in batch.index.tolist())
        targets = None if predicted else batch.labels
        options = self.options
        try:
            with trainer.precision_plugin.forward_context():
                paths = search(
                    open_vit(pl_module, self.vit),
                    batch.images,
                    targets,
                    method=self.method,
                    top_k=options.top_k,
                    ranked=self._ranked,
                    steps=options.steps,
                    rule=options.rule,
                    patch_stream=options.patch_stream,
                    chunk_size=options.chunk_size,
                )
        except NonFiniteError as error:
            culprits = listed(names[position] for position in error.positions)
            raise NonFiniteError(f"{error.what} ({culprits})", error.positions) from error
        write_part(
            self._run,
            paths,
            index=batch.index,
            files=names,
            labels=batch.labels,
            checksums=sums,
            method=self.method,
        )

    def _form_category_paths(self, num_classes: int) -> dict[int, CategoryPaths]:
        sizes = self.sizes
        votes = {size: CategoryVotes(num_classes, top_k=size, method=self.category_method) for size in sizes}
        for rows in PathTable(part_files(self._run)).batches(["label", "ranking", "ranking_scores"]):
            for size in sizes:
                votes[size].update(
                    rows["ranking"][..., :size].long(), rows["label"], rows["ranking_scores"][..., :size]
                )
        paths = {size: votes[size].compute() for size in sizes}
        self._run.write_category_paths(paths, self.top_k)
        return paths

    def _settings(self, trainer: Trainer, vit: OpenViT) -> dict[str, Any]:
        identity = getattr(getattr(trainer, "datamodule", None), "identity", None)
        predicting = trainer.state.fn == TrainerFn.PREDICTING
        return {
            "command": "predict" if predicting else "validate",
            "method": self.method,
            "top_k": self.top_k,
            "ranked": self._ranked,
            "steps": self.options.steps,
            "rule": self.options.rule,
            "patch_stream": self.options.patch_stream,
            "target": "prediction" if predicting else self.target,
            "category_method": self.category_method,
            "kept": list(self.kept),
            "precision": str(trainer.precision),
            "model": fingerprint(vit.model),
            **(identity() if callable(identity) else {}),
        }


def _searches(trainer: Trainer) -> bool:
    return trainer.state.fn in (TrainerFn.VALIDATING, TrainerFn.PREDICTING) and not trainer.sanity_checking


def _claim(run: RunFolder, settings: dict[str, Any], skipped: Sequence[tuple[str, str]]) -> dict[int, int]:
    """Take the run folder, list the files that the data left out, and say which images it holds: index -> checksum."""
    run.claim("search", settings)
    if skipped:
        run.write_skipped(skipped)
    parts = part_files(run)
    if not parts:
        return {}
    table = PathTable(parts).to_arrow(["index", "checksum"])
    return dict(zip(table["index"].to_pylist(), table["checksum"].to_pylist()))


def _select(batch: ImageBatch, positions: torch.Tensor) -> ImageBatch:
    def pick(values: torch.Tensor | None) -> torch.Tensor | None:
        return None if values is None else values[positions.to(values.device)]

    files = None if batch.files is None else tuple(batch.files[position] for position in positions.tolist())
    return ImageBatch(batch.images[positions.to(batch.images.device)], pick(batch.labels), pick(batch.index), files)
