"""The table by category as the template writes it: the first rows, for a page without JavaScript."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nplight.metrics import counted_share, random_share
from nplight.report.run_data import Run

_ROWS = 100


@dataclass(frozen=True, slots=True)
class CategoryView:
    """The table.

    Attributes:
        search: whose paths.
        heads: of the columns.
        rows: the cells of the first categories.
        random_share: the share that two random paths have in common, as text.
        labelled: whether searched images have labels.
        removed: whether the removal of the paths was measured.
        standing: in how many categories the path's removal lowers the probability by more than the control's.
    """

    search: str
    heads: list[str]
    rows: list[list[str]]
    random_share: str
    labelled: bool
    removed: bool
    standing: str


def category_view(
    run: Run, search: str, columns: Mapping[str, Any] | None, names: Sequence[str]
) -> CategoryView | None:
    """The table of a search; `None` without image paths.

    Args:
        run: the run.
        search: the search.
        columns: of `category_rows_of`.
        names: of the categories, as the page shows them.
    """
    if columns is None:
        return None
    places = range(min(len(names), _ROWS))
    shown: list[tuple[str, Callable[[int], str]]] = [
        ("category", lambda place: names[place]),
        ("searched images", lambda place: f"{columns['images'][place]}"),
    ]
    if any(value is not None for value in columns["correct"]):
        shown.append(("their top-1", lambda place: _share(columns["correct"][place])))
    for head, name in (("Δ prob., path removed", "removed"), ("Δ prob., random removed", "random")):
        values = columns[name]
        if values is not None:
            shown.append((head, lambda place, values=values: _share(values[place], 2)))  # type: ignore[misc]
    shown.append(("path shared by two images", lambda place: _share(columns["alike"][place])))
    top_k = run.image_paths(search).shape("neurons")[1]
    return CategoryView(
        search=search,
        heads=[head for head, _ in shown],
        rows=[[text(place) for _, text in shown] for place in places],
        random_share=f"{random_share(top_k, run.widths):.2%}",
        labelled=any(value is not None for value in columns["correct"]),
        removed=columns["removed"] is not None,
        standing=_standing(columns),
    )


def _standing(columns: Mapping[str, Any]) -> str:
    removed, control = columns["removed"], columns["random"]
    if removed is None or control is None:
        return ""
    pairs = [pair for pair in zip(removed, control) if None not in pair]
    lower = sum(path < of_random for path, of_random in pairs)
    share = counted_share(lower, len(pairs))
    return (
        f"In {lower} of {len(pairs)} categories ({share.low:.0%} … {share.high:.0%}) the path's removal lowers the "
        "probability by more than that of random neurons."
        if pairs
        else ""
    )


def _share(value: float | None, digits: int = 1) -> str:
    if value is None:
        return "–"
    text = f"{100 * value:.{digits}f}%"
    return text.lstrip("-") if not text.strip("-0.%") else text.replace("-", "−")
