"""The table by category: accuracy, the path removed and as many random neurons removed, how alike the paths are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nplight.errors import RunFolderError
from nplight.metrics import NeuronCounts, counted_share
from nplight.report.run_data import Run
from nplight.store import PathTable
from nplight.store.file_names import BY_CATEGORY, METRICS_JSON, WAYS_OUT

_COLUMNS = {
    "method": str,
    "condition": str,
    "kept": float,
    "tokens": str,
    "layers": float,
    "scale": float,
    "category": int,
    "images": int,
    "probability_deviation": float,
}
_SHOWN = ("method", "category", "images", "probability_deviation")
_ROWS = 200_000
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Removals:
    """Mean relative change of the label's probability when the path of an image's category is removed.

    Attributes:
        change: search or control -> category -> change.
        images: category -> held-out images.
    """

    change: dict[str, dict[int, float]] = field(default_factory=dict)
    images: dict[int, int] = field(default_factory=dict)


def read_removals(run: Run) -> Removals:
    """The changes of `by_category.csv`, of edits at the main tokens in all layers; empty without the file.

    Raises:
        RunFolderError: the file is damaged.
    """
    path = run.path / BY_CATEGORY
    if not path.exists():
        return Removals()
    found = Removals()
    try:
        for rows in pd.read_csv(path, usecols=list(_COLUMNS), dtype=_COLUMNS, chunksize=_ROWS, keep_default_na=True):
            whole = rows[(rows["condition"] == "removed") & rows["layers"].isna() & rows["scale"].isna()]
            columns = (whole.loc[whole["kept"] == run.top_k, name].tolist() for name in _SHOWN)
            for method, category, images, value in zip(*columns):
                # The main tokens are those of the first edit.
                change = found.change.setdefault(method, {})
                if category not in change and 0 <= category < len(run.names):
                    change[category] = value
                    found.images[category] = images
    except (OSError, ValueError, OverflowError) as error:
        text = " ".join(str(error).split())[:200]
        raise RunFolderError(f"{path} is damaged: {text}; {WAYS_OUT[METRICS_JSON]}") from error
    return found


def category_rows_of(run: Run, search: str, counts: NeuronCounts, removals: Removals) -> dict[str, Any]:
    """Columns of the table of a search, one value per category, `None` where there is none.

    `images` is of the searched images, `correct`, `correctLow` and `correctHigh` of those with a label (Wilson's
    interval), `tested`, `removed` and `random` of the held-out images.

    Args:
        run: the run.
        search: the search.
        counts: of its image paths.
        removals: of the run.
    """
    categories = range(len(run.names))
    table = run.image_paths(search)
    removed = removals.change.get(search, {})
    random = removals.change.get("random", removals.change.get(f"random of {search}", {}))
    correct = [counted_share(*pair) for pair in zip(*_correct_of_labelled(table, len(categories)))]
    top_k = table.shape("neurons")[1]
    return {
        "images": counts.images.tolist(),
        "correct": [_plain(share.value) for share in correct],
        "correctLow": [_plain(share.low) for share in correct],
        "correctHigh": [_plain(share.high) for share in correct],
        "tested": [removals.images.get(category) for category in categories] if removed else None,
        "removed": [_plain(removed.get(category)) for category in categories] if removed else None,
        "random": [_plain(random.get(category)) for category in categories] if removed and random else None,
        "alike": [_plain(share) for share in likeness(counts, top_k).tolist()],
    }


def likeness(counts: NeuronCounts, top_k: int) -> Tensor:
    """The share of their paths that two different images of a category have in common: (categories,) in [0, 1].

    Over all pairs of images, mean over layers; NaN for categories with fewer than two images.

    Args:
        counts: how often each neuron is on the path of a category's images.
        top_k: neurons per layer of an image's path.
    """
    categories, layers, _ = counts.counts.shape
    count = counts.counts.values().double()
    pairs = torch.zeros(categories, dtype=torch.float64)
    pairs.index_add_(0, counts.counts.indices()[0], count * (count - 1))
    images = counts.images.double()
    return pairs / (images * (images - 1)) / (layers * top_k)


def _correct_of_labelled(table: PathTable, categories: int) -> tuple[list[int], list[int]]:
    """Images per category whose prediction is the label, and images with a label."""
    correct, labelled = torch.zeros(2, categories, dtype=torch.int64)
    for rows in table.batches(["label", "prediction"]):
        labels = rows["label"]
        labelled += labels[labels >= 0].bincount(minlength=categories)
        correct += labels[labels == rows["prediction"]].bincount(minlength=categories)
    return correct.tolist(), labelled.tolist()


def _plain(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(value, _DIGITS)
