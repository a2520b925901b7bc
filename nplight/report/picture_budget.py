"""As many pictures as fit into the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def within_budget(pictures: Mapping[str, Any], characters: int) -> dict[str, Any]:
    """As many pictures as fit: the first of every category and neuron, then the second of each, and so on."""
    if not pictures:
        return {}
    sources = pictures["pictures"]
    samples: dict[str, list[Any]] = {label: [] for label in pictures["samples"]}
    drivers = [{**driver, "images": []} for driver in pictures["drivers"]]
    lists = [(samples[label], entries) for label, entries in pictures["samples"].items()]
    lists += [(kept["images"], driver["images"]) for kept, driver in zip(drivers, pictures["drivers"])]
    by_rank = sorted(
        ((rank, kept, entry) for kept, entries in lists for rank, entry in enumerate(entries)),
        key=lambda candidate: candidate[0],
    )
    numbers: dict[int, int] = {}  # number in the run's file -> number in the page
    for _, kept, entry in by_rank:
        number = entry[0]
        if number not in numbers:
            characters -= len(sources[number]["source"])
            if characters < 0:
                break
            numbers[number] = len(numbers)
        kept.append([numbers[number], *entry[1:]])
        characters -= len(entry[-1]) if isinstance(entry[-1], list) else 0
    page_pictures = [sources[number] for number in numbers]
    return {"grid": pictures["grid"], "pictures": page_pictures, "samples": samples, "drivers": drivers}
