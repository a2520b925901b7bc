"""One path for all images of a category jointly: data passes over the discover images, one per layer."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.data import ImageBatch, ImageDigest, labels_of, with_index
from nplight.processes import on_first_process
from nplight.runs.context import RunContext, discover_pass
from nplight.runs.image_rows import ImageRows
from nplight.searching import CategorySearch
from nplight.seeds import checksums
from nplight.vit import OpenViT, undisturbed

_LABELS_FOR = "whose categories are searched"


def search_categories(
    vit: OpenViT, rows: ImageRows, images: ImageDigest, context: RunContext, *, predicted: bool
) -> None:
    """Search every category's images jointly, and write one row per image: its category's path and its own score of it.

    Every process must call it. Where all images are stored already it does nothing.

    Args:
        vit: the opened model.
        rows: of the search.
        images: the discover images of all processes.
        context: of the loop.
        predicted: whether each image's predicted category is its target, not its label.
    """
    if len(rows.stored) == images.images:
        return
    search = CategorySearch(vit, vit.num_classes, rows.image_search.options, method=rows.image_search.method)

    def targets(batch: ImageBatch) -> Tensor | None:
        return _predicted(vit, batch.images) if predicted else None

    for layer in range(search.depth):
        for batch in discover_pass(context, f"Searching layer {layer + 1}/{search.depth}"):
            with context.forward_context():
                search.update(batch.images, labels_of(batch, _LABELS_FOR), targets(batch))
        search.choose()
    # Rows of other images would hold another path: one that all of a category's images had a say in.
    rows.fingerprint = on_first_process(lambda: _claim_images(rows, images))
    count = 0
    for batch in discover_pass(context, "Scoring paths"):
        with context.forward_context():
            rows.write_new(
                with_index(batch, count),
                checksums(batch.images),
                lambda new: search.image_paths(new.images, labels_of(new, _LABELS_FOR), targets(new)),
            )
        count += len(batch)


def _claim_images(rows: ImageRows, images: ImageDigest) -> str | None:
    name = rows.image_search.name
    rows.folder.claim(f"search {name} images", {"images": str(images)})
    return rows.folder.search_fingerprint(name)


def _predicted(vit: OpenViT, images: Tensor) -> Tensor:
    with undisturbed(vit.model), torch.no_grad():
        return vit.forward(images).argmax(1)
