"""Category paths from the stored paths of images, in a single process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from nplight.path_checks import check_labels, check_no_category_empty
from nplight.paths import CategoryPaths
from nplight.searching import CategoryVotes
from nplight.store import PathTable

MOST_ENTRIES = 8_000_000
"""Neurons of categories whose votes are held at a time, 24 bytes each, and as much again while they are sorted."""


def form_category_paths(
    table: PathTable, sizes: Sequence[int], *, num_classes: int, category_method: str
) -> dict[int, CategoryPaths]:
    """The category paths of every size, from one pass over the rows of a search.

    Where the categories have more neurons than fit in memory, from several passes, each over some of the categories.

    Args:
        table: rows with labels.
        sizes: neurons per layer, none above the number of ranked neurons.
        num_classes: number of categories.
        category_method: one of `CATEGORY_METHODS`.

    Raises:
        ArgumentError: a category has no images, or a label is none of them.

    Examples:
        >>> import tempfile
        >>> import nplight
        >>> from nplight.data import ImageBatch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.runs import SearchRun, SearchSettings
        >>> from nplight.store import RunFolder
        >>> planted, folder = build_planted(PLANTED["chain"]), RunFolder(tempfile.mkdtemp())
        >>> vit, batch = nplight.open_vit(planted.model), ImageBatch(planted.images, planted.labels)
        >>> with SearchRun(vit, folder, SearchSettings.of(["jas"], kept=(1, 2))) as search:
        ...     search.update(batch)
        ...     paths = search.conclude()
        ...
        >>> from nplight.results import form_category_paths
        >>> table = nplight.read_paths(folder.path)
        >>> form_category_paths(table, (1,), num_classes=4, category_method="frequency")[1].neurons.shape
        torch.Size([4, 4, 1])
    """
    _check_labels(table, num_classes)
    groups: list[dict[int, CategoryPaths]] = []
    start, most = 0, num_classes
    while start < num_classes:
        count = min(most, num_classes - start)
        votes = {
            size: CategoryVotes(count, top_k=size, method=category_method, first=start, tokens=table.tokens)
            for size in sizes
        }
        most = _count_votes(table, votes, start)
        groups.append({size: votes[size].compute() for size in sizes})
        start += most
    return {size: _joined([group[size] for group in groups]) for size in sizes}


def _check_labels(table: PathTable, num_classes: int) -> None:
    images = torch.zeros(num_classes, dtype=torch.int64)
    for rows in table.batches(["label"]):
        check_labels(rows["label"], len(rows["label"]), num_classes)
        images += rows["label"].bincount(minlength=num_classes)
    check_no_category_empty(images)


def _count_votes(table: PathTable, votes: Mapping[int, CategoryVotes], start: int) -> int:
    """Count the votes for the categories from `start` on, half as many of them whenever memory is full.

    Returns:
        How many categories were counted to the end.
    """
    count = next(iter(votes.values())).num_classes
    for rows in table.batches(["label", "ranking", "ranking_scores"]):
        labels = rows["label"] - start
        chosen = ((labels >= 0) & (labels < count)).nonzero().flatten()
        for size, counted in votes.items() if len(chosen) else ():
            neurons, scores = (rows[name][chosen, :, :size] for name in ("ranking", "ranking_scores"))
            counted.update(neurons, labels[chosen], scores)
        while sum(map(len, votes.values())) > MOST_ENTRIES and count > 1:
            count //= 2
            for counted in votes.values():
                counted.forget_from(count)
    return count


def _joined(groups: Sequence[CategoryPaths]) -> CategoryPaths:
    if len(groups) == 1:
        return groups[0]
    return CategoryPaths(
        torch.cat([group.neurons for group in groups]),
        torch.cat([group.votes for group in groups]),
        torch.cat([group.images for group in groups]),
        groups[0].method,
        groups[0].tokens,
    )
