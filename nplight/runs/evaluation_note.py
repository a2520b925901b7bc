"""How many nodes the searches of a run evaluated, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nplight.searching import NamedSearch
from nplight.store import PathTable


class _Spent(NamedTuple):
    """What the search of some images took.

    Attributes:
        images: how many were searched.
        nodes: evaluated for them, over all layers.
        in_full: images for which every node was evaluated in every layer.
    """

    images: int
    nodes: int
    in_full: int


def evaluation_note(
    paths: PathTable, searches: Sequence[NamedSearch], depth: int, *, half_precision: bool = False
) -> str | None:
    """The mean node evaluations per image of each search, and of how many searches of an image took every node, if any.

    Args:
        paths: of the images.
        searches: of the run.
        depth: layers of the model.
        half_precision: whether the model computed in half precision, whose rounding is above the default tolerance, so
            that every node was evaluated.

    Returns:
        The sentence; `None` where no search may leave nodes out, or nothing is stored.
    """
    spent = {search: _spent(paths, search, depth) for search in searches}
    told = {search: of_search for search, of_search in spent.items() if of_search is not None and of_search.nodes}
    if not told:
        return None
    means = [
        f"{search.name} {nodes / images:.1f} of {depth * search.options.steps}"
        for search, (images, nodes, _) in told.items()
    ]
    in_full, images = (sum(of_search[at] for of_search in told.values()) for at in (2, 0))
    note = f"nodes per image: {', '.join(means)}"
    if not in_full:
        return note
    reason = ", as always where half precision is coarser than `tolerance`" if half_precision else ""
    return f"{note}; {in_full:,} of {images:,} searches took all{reason}"


def _spent(paths: PathTable, search: NamedSearch, depth: int) -> _Spent | None:
    """`None` where all nodes were asked for, or nothing is stored of them."""
    if not search.options.tolerance or search.name not in paths.searches:
        return None
    table = paths.where(search=search.name)
    if "evaluations" not in table.columns:
        return None
    images = nodes = in_full = 0
    for batch in table.batches(["evaluations"]):
        evaluations = batch["evaluations"]
        images += len(evaluations)
        nodes += int(evaluations.sum())
        in_full += int((evaluations >= depth * search.options.steps).sum())
    return _Spent(images, nodes, in_full)
