"""One path for all images of a category jointly: passes over the discover images, one a layer."""

from __future__ import annotations

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from nplight.callbacks.common import on_first_process
from nplight.callbacks.image_rows import ImageRows
from nplight.callbacks.passes import Reader, discover_pass
from nplight.data import ImageBatch, ImageDigest, with_index
from nplight.searching import CategorySearch
from nplight.seeds import checksums
from nplight.vit import OpenViT, undisturbed


def search_categories(
    trainer: Trainer,
    pl_module: LightningModule,
    vit: OpenViT,
    rows: ImageRows,
    images: ImageDigest,
    *,
    predicted: bool,
    read: Reader,
) -> None:
    """Search every category's images jointly, and write a row an image: its category's path and its own score of it.

    Every process must call it. Where all images are stored already it does nothing.

    Args:
        trainer: in `validate`, or in a validation of `fit`.
        pl_module: the module.
        vit: the opened model.
        rows: of the search.
        images: the discover images of all processes.
        predicted: whether each image's predicted category is its target, not its label.
        read: reads a batch of the loader.
    """
    if len(rows.stored) == images.images:
        return
    search = CategorySearch(vit, vit.num_classes, rows.rows.options, method=rows.rows.method)

    def targets(batch: ImageBatch) -> Tensor | None:
        return _predicted(vit, batch.images) if predicted else None

    for layer in range(search.depth):
        for batch in discover_pass(trainer, pl_module, read, f"Searching layer {layer + 1}/{search.depth}"):
            with trainer.precision_plugin.forward_context():
                search.update(batch.images, _labels(batch), targets(batch))
        search.choose()
    # Rows of other images would hold another path: one that all of a category's images had a say in.
    rows.fingerprint = on_first_process(trainer, lambda: _settle(rows, images))
    seen = 0
    for batch in discover_pass(trainer, pl_module, read, "Scoring paths"):
        with trainer.precision_plugin.forward_context():
            rows.write_new(
                with_index(batch, seen),
                checksums(batch.images),
                lambda new: search.image_paths(new.images, _labels(new), targets(new)),
            )
        seen += len(batch)


def _settle(rows: ImageRows, images: ImageDigest) -> str | None:
    rows.run.claim(f"search {rows.rows.name} images", {"images": str(images)})
    return rows.run.search_fingerprint(rows.rows.name)


def _predicted(vit: OpenViT, images: Tensor) -> Tensor:
    with undisturbed(vit.model), torch.no_grad():
        return vit.forward(images).argmax(1)


def _labels(batch: ImageBatch) -> Tensor:
    assert batch.labels is not None  # the loop has refused a batch without
    return batch.labels
