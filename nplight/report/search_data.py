"""The data of one search for the page's script: compact columns from which it fills a chosen category."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nplight.metrics import NeuronCounts
from nplight.report.category_table import Removals, category_rows_of
from nplight.report.neuron_use import Use
from nplight.report.path_rows import PathSample
from nplight.report.path_strips import Strips
from nplight.report.run_data import Run
from nplight.report.theme import shortened

MOST_IN_MATRIX = 50
"""Categories up to which matrices of all of them are shown; with more, the nearest of each."""

NEAREST = 10
"""Categories that are listed as the nearest of each."""


@dataclass(frozen=True, slots=True)
class SearchRead:
    """What the rows of a search hold.

    Attributes:
        sample: images whose own paths are shown.
        counts: of all images.
        use: the most used neurons of each category.
        strips: the path of each category.
        similarity: (categories, categories), cosine; NaN for categories without two images.
        order: of the categories, in which similar ones are adjacent.
    """

    sample: PathSample
    counts: NeuronCounts
    use: Use
    strips: Strips
    similarity: Tensor
    order: list[int]


def search_data(run: Run, search: str, read: SearchRead, removals: Removals) -> dict[str, Any]:
    """Plain values of a search with image paths.

    Args:
        run: the run.
        search: the search.
        read: its rows.
        removals: of the run.
    """
    sample, use = read.sample, read.use
    return {
        "start": np.searchsorted(sample.category, np.arange(len(run.names) + 1)).tolist(),
        "paths": sample.neurons.ravel().tolist(),
        "files": [shortened(file, 60) for file in sample.files],
        "probability": [round(value, 4) for value in sample.probability.tolist()],
        "strips": read.strips.to_dict(),
        "categories": category_rows_of(run, search, read.counts, removals),
        "use": {
            "start": use.start.tolist(),
            "layer": use.layer.tolist(),
            "neuron": use.neuron.tolist(),
            "count": use.count.tolist(),
            "images": use.images.tolist(),
        },
        "nearest": nearest(read.similarity),
        **_matrix(read),
    }


def data_without_images(strips: Strips) -> dict[str, Any]:
    """Plain values of a search whose category paths are known, and no image paths."""
    none = {"start": [0] * (len(strips.images) + 1), "layer": [], "neuron": [], "count": [], "images": []}
    return {
        "start": none["start"],
        "paths": [],
        "files": [],
        "probability": [],
        "strips": strips.to_dict(),
        "categories": None,
        "use": {**none, "images": strips.images.tolist()},
        "nearest": None,
        "similarity": None,
        "order": None,
    }


def nearest(similarity: Tensor) -> list[list[list[float]]]:
    """Per category the most similar others, nearest first, as number and cosine; those with nothing in common left out.

    Args:
        similarity: (categories, categories); NaN is left out.
    """
    values = similarity.clone().fill_diagonal_(torch.nan).nan_to_num(nan=-1)
    best, places = values.sort(dim=1, descending=True, stable=True)
    return [
        [[place, round(cosine, 3)] for place, cosine in zip(row, cosines) if cosine >= 0.0005]
        for row, cosines in zip(places[:, :NEAREST].tolist(), best[:, :NEAREST].tolist())
    ]


def _matrix(read: SearchRead) -> dict[str, Any]:
    """The whole matrix of few categories."""
    if not 2 <= len(read.similarity) <= MOST_IN_MATRIX:
        return {"similarity": None, "order": None}
    rows = [[None if value != value else round(value, 2) for value in row] for row in read.similarity.tolist()]
    return {"similarity": rows, "order": read.order}
