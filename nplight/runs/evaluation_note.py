"""How many nodes the searches of a run evaluated, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nplight.methods import METHODS
from nplight.searching import NamedSearch
from nplight.store import PathTable


class _Spent(NamedTuple):
    """What the search of some images took.

    Attributes:
        images: how many were searched.
        nodes: evaluated for them, over all layers.
        in_full: images for which every node was evaluated in every layer.
        every: nodes of an image, over all layers.
    """

    images: int
    nodes: int
    in_full: int
    every: int

    def __str__(self) -> str:
        if self.in_full == self.images:
            return f"all {self.every}"
        of_some = f" (all for {self.in_full:,} of {self.images:,} images)" if self.in_full else ""
        return f"{self.nodes / self.images:.1f} of {self.every}{of_some}"


def evaluation_note(
    paths: PathTable, searches: Sequence[NamedSearch], depth: int, *, half_precision: bool = False
) -> str | None:
    """The mean node evaluations per image of each search, and for how many images every node was evaluated, if any.

    Args:
        paths: of the images.
        searches: of the run.
        depth: layers of the model.
        half_precision: whether the model computed in half precision, whose rounding is above the default tolerance, so
            that every node was evaluated.

    Returns:
        The sentence; `None` where no search may leave nodes out, or nothing is stored.
    """
    spent = {search.name: _spent(paths, search, depth) for search in searches}
    texts = [f"{name} {of_search}" for name, of_search in spent.items() if of_search is not None and of_search.nodes]
    if not texts:
        return None
    reason = "; half precision is coarser than `tolerance`" if half_precision else ""
    return f"nodes per image: {', '.join(texts)}{reason}"


def _spent(paths: PathTable, search: NamedSearch, depth: int) -> _Spent | None:
    """`None` where all nodes were asked for, or nothing is stored of them."""
    if not search.options.tolerance or search.name not in paths.searches:
        return None
    table = paths.where(search=search.name)
    if "evaluations" not in table.columns:
        return None
    every = search.options.steps * (1 if METHODS[search.method].one_line else depth)
    images = nodes = in_full = 0
    for batch in table.batches(["evaluations"]):
        evaluations = batch["evaluations"]
        images += len(evaluations)
        nodes += int(evaluations.sum())
        in_full += int((evaluations >= every).sum())
    return _Spent(images, nodes, in_full, every)
