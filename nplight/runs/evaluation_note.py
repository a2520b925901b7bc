"""How many nodes a search evaluated, in a sentence."""

from __future__ import annotations

from nplight.searching import NamedSearch
from nplight.store import PathTable


def evaluation_note(paths: PathTable, search: NamedSearch, depth: int) -> str | None:
    """The evaluations of a search's stored paths; `None` where all nodes were asked for, or nothing is stored of them.

    Args:
        paths: of the images, with other searches or without.
        search: one of them.
        depth: layers of the model.
    """
    if not search.options.tolerance or search.name not in paths.searches:
        return None
    table = paths.where(search=search.name)
    if "evaluations" not in table.columns:
        return None
    images, spent, full, every = 0, 0, 0, depth * search.options.steps
    for batch in table.batches(["evaluations"]):
        images += len(batch["evaluations"])
        spent += int(batch["evaluations"].sum())
        full += int((batch["evaluations"] >= every).sum())
    if not spent:
        return None
    return (
        f"{search.name}: {spent / images:.1f} node evaluations per image, where every node of every layer is {every}; "
        f"{full} of {images} images took that many; the estimated error of the scores is {search.options.tolerance:g}"
    )
