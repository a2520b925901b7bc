"""Category paths from the stored paths of images, in a single process."""

from __future__ import annotations

from collections.abc import Sequence

from nplight.paths import CategoryPaths
from nplight.searching import CategoryVotes
from nplight.store import PathTable


def form_category_paths(
    table: PathTable, sizes: Sequence[int], *, num_classes: int, category_method: str
) -> dict[int, CategoryPaths]:
    """The category paths of every size, from one pass over the rows of a search.

    Args:
        table: rows with labels.
        sizes: neurons per layer, none above the number of ranked neurons.
        num_classes: number of categories.
        category_method: one of `CATEGORY_METHODS`.

    Raises:
        ArgumentError: a category has no images.
    """
    votes = {size: CategoryVotes(num_classes, top_k=size, method=category_method) for size in sizes}
    for rows in table.batches(["label", "ranking", "ranking_scores"]):
        for size in sizes:
            votes[size].update(rows["ranking"][..., :size], rows["label"], rows["ranking_scores"][..., :size])
    return {size: votes[size].compute() for size in sizes}
