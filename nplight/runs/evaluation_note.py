"""How many nodes the searches of a run evaluated, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from nplight.searching import NamedSearch
from nplight.store import PathTable


def evaluation_note(paths: PathTable, searches: Sequence[NamedSearch], depth: int) -> str | None:
    """The mean node evaluations per image of each search; `None` where none may leave nodes out, or nothing is stored.

    Args:
        paths: of the images.
        searches: of the run.
        depth: layers of the model.
    """
    means = {search: _evaluations(paths, search) for search in searches}
    texts = [f"{search.name} {mean:.1f} of {depth * search.options.steps}" for search, mean in means.items() if mean]
    return f"nodes per image: {', '.join(texts)}" if texts else None


def _evaluations(paths: PathTable, search: NamedSearch) -> float:
    """Node evaluations per image; 0 where all nodes were asked for, or nothing is stored of them."""
    if not search.options.tolerance or search.name not in paths.searches:
        return 0.0
    table = paths.where(search=search.name)
    if "evaluations" not in table.columns:
        return 0.0
    images = spent = 0
    for batch in table.batches(["evaluations"]):
        images += len(batch["evaluations"])
        spent += int(batch["evaluations"].sum())
    return spent / images if images else 0.0
