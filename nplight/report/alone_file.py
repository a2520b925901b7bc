"""What the removal of each neuron alone does, in a run folder and on the page."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nplight.metrics import Estimate
from nplight.report.strip_view import neuron_key
from nplight.results.removed_alone import RemovedAlone
from nplight.store import RunFolder
from nplight.store.file_names import REMOVED_ALONE
from nplight.store.json_files import check_shape, read_json

_ESTIMATES = ("removed", "random", "difference")
# About 60 characters each.
_MOST_ON_PAGE = 12_000


def write_alone(folder: RunFolder, measured: Sequence[RemovedAlone], settings: Mapping[str, Any]) -> Path:
    """Write `removed_alone.json`, and give its path.

    Args:
        folder: the run folder.
        measured: of neurons and categories.
        settings: how it was measured, as plain values.

    Raises:
        RunFolderError: it cannot be written.
    """
    folder.write(REMOVED_ALONE, json.dumps({**settings, "neurons": list(map(_to_plain, measured))}, indent=1) + "\n")
    return folder.path / REMOVED_ALONE


def read_alone(directory: str | Path) -> list[RemovedAlone] | None:
    """What was measured, in the order of the file; `None` without the file.

    Raises:
        RunFolderError: it is damaged.
    """
    path = Path(directory) / REMOVED_ALONE
    if not path.exists():
        return None
    from nplight.report.run_shapes import ALONE_SHAPE  # imported here: slow, and not needed by most commands

    content = read_json(path)
    check_shape(path, content, ALONE_SHAPE)
    return [
        RemovedAlone(
            entry["layer"],
            entry["neuron"],
            entry["category"],
            *(_estimate(entry[name], entry["images"]) for name in _ESTIMATES),
        )
        for entry in content["neurons"]
    ]


def page_alone(measured: Sequence[RemovedAlone] | None, categories: int) -> dict[str, Any] | None:
    """For the page: neuron, such as `L2N217` -> its rows, and whether rows are left out for want of room.

    A row is flat: category, images, the change with its limits, that of random neurons, the difference with its limits.
    A category's first neurons, those of the main search, are the last to be left out.

    Args:
        measured: of the run; `None` if nothing was measured.
        categories: of the run; rows of others are left out.
    """
    if measured is None:
        return None
    ranked, of_category = [], Counter[int]()
    for one in measured:
        ranked.append((of_category[one.category], one))
        of_category[one.category] += 1
    ranked.sort(key=lambda pair: pair[0])
    rows: dict[str, list[list[float | None]]] = {}
    for _, one in ranked[:_MOST_ON_PAGE]:
        if one.category < categories:
            numbers = (*_numbers(one.removed), one.random.value, *_numbers(one.difference))
            row = [one.category, one.removed.images, *map(_short, numbers)]
            rows.setdefault(neuron_key(one.layer, one.neuron), []).append(row)
    return {"rows": rows, "short": len(ranked) > _MOST_ON_PAGE}


def _to_plain(one: RemovedAlone) -> dict[str, Any]:
    estimates = {name: getattr(one, name).to_dict() for name in _ESTIMATES}
    images = one.removed.images
    plain = {name: {key: found[key] for key in ("value", "low", "high")} for name, found in estimates.items()}
    return {"layer": one.layer, "neuron": one.neuron, "category": one.category, "images": images, **plain}


def _estimate(entry: Mapping[str, float | None], images: int) -> Estimate:
    value, low, high = (math.nan if entry[key] is None else float(entry[key] or 0) for key in ("value", "low", "high"))
    return Estimate(value, low, high, images)


def _numbers(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def _short(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.3g}")
