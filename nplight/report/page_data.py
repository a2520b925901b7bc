"""The data of the page: figures as JSON, and compact rows from which the script fills them for a chosen category."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from nplight.metrics import NeuronCounts, category_similarity, similar_pairs
from nplight.report.arrangement import clustered, image_plane
from nplight.report.concept_file import page_names, read_names
from nplight.report.neuron_use import Particular, Shared, Use, neuron_use, particular_neurons, shared_neurons
from nplight.report.path_figures import (
    draw_image_map,
    draw_neuron_use,
    draw_paths,
    draw_similarity,
)
from nplight.report.path_rows import Advance, PathSample, read_rows, unseen
from nplight.report.plotly_chart import plotly_chart
from nplight.report.result_figures import draw_selectivity
from nplight.report.run_charts import run_charts
from nplight.report.run_data import Run
from nplight.report.theme import distinct_names, shortened, template

# Limits that keep the page below 10 MB: numbers over all methods, images on the plane, characters of pictures.
_MOST_NUMBERS = 600_000
_MOST_ENTRIES = 300_000
_MOST_LINES = 50
_MOST_POINTS = 2_000
_PICTURE_CHARACTERS = 2_500_000
_LISTED = 10

Pair = tuple[int, int, float]


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a page.

    Attributes:
        figures: by name; only those that the run has results for.
        data: the remaining data of the page's script.
        shared: neurons of many categories, by method.
        particular: neurons specific to one category, by method.
        pairs: the most and the least similar categories of the first method.
        shown: maximum number of images per category whose paths are drawn.
    """

    figures: dict[str, go.Figure]
    data: dict[str, Any]
    shared: dict[str, list[Shared]]
    particular: dict[str, list[Particular]]
    pairs: tuple[list[Pair], list[Pair]]
    shown: int


def contents(run: Run, advance: Advance = unseen) -> Contents:
    """Read the rows of a run, once each, and draw its figures; `advance` is called with the number of rows read."""
    figures = {name: plotly_chart(chart) for name, chart in run_charts(run).items()}
    methods: dict[str, Any] = {}
    shared, particular = {}, {}
    pairs: tuple[list[Pair], list[Pair]] = ([], [])
    order = None
    per_category = lines_per_category(run)
    for method in stored_searches(run):
        sample, counts, use = search_rows(run, method, per_category, advance)
        if not methods:
            figures |= _first(run, method, sample, use)
            similarity = category_similarity(counts)
            order, pairs = clustered(similarity), similar_pairs(similarity, _LISTED)
            map_sample = thinned(sample)
            plane = image_plane(map_sample.neurons, max(run.widths))
            figures["map"] = draw_image_map(plane, map_sample, run.names)
            coordinates = {"x": plane[:, 0].round(2).tolist(), "y": plane[:, 1].round(2).tolist()}
            plane_data = {**coordinates, "category": map_sample.category.tolist()}
            if len(run.names) > 1:
                figures["similarity"] = draw_similarity(similarity, run.names, order)
        methods[method] = _compact(run, method, sample, use)
        shared[method], particular[method] = shared_neurons(counts, _LISTED), particular_neurons(counts, _LISTED)
    figures["selectivity"] = draw_selectivity(run, order)
    data = {
        "names": distinct_names(run.names, 60),
        "widths": run.widths,
        "methods": methods,
        "map": plane_data if methods else None,
        "concepts": page_names(read_names(run.path)),
        "pictures": within_budget(run.pictures, _PICTURE_CHARACTERS),
    }
    drawn = {name: figure for name, figure in figures.items() if figure is not None}
    return Contents(drawn, data, shared, particular, pairs, per_category)


def to_json(page: Contents) -> str:
    """Figures, templates and data for the page's script."""
    figures = {name: json.loads(figure.to_json()) for name, figure in page.figures.items()}
    for figure in figures.values():
        # The page has its own headings, and sets the template of its theme on every figure.
        for name in ("title", "template"):
            figure["layout"].pop(name, None)
    themes = {name: template(name).to_plotly_json() for name in ("light", "dark")}
    return json.dumps({"figures": figures, "templates": themes, **page.data}, separators=(",", ":"), allow_nan=False)


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


def stored_searches(run: Run) -> list[str]:
    """The searches with image paths, the main one first, without the rows of other sizes."""
    searches = () if run.table is None else run.table.searches
    return [method for method in run.methods if method in searches]


def lines_per_category(run: Run) -> int:
    """Maximum number of images per category whose paths are drawn."""
    share = max(1, len(stored_searches(run))) * max(1, len(run.names)) * max(1, len(run.widths))
    return max(1, min(_MOST_LINES, _MOST_NUMBERS // share))


def search_rows(
    run: Run, method: str, per_category: int, advance: Advance = unseen
) -> tuple[PathSample, NeuronCounts, Use]:
    """A sample of a search's rows, how often each neuron is on a path, and the most used neurons of each category.

    Args:
        run: the run.
        method: the search.
        per_category: maximum number of images per category in the sample.
        advance: called with the number of rows after each group of rows is read.
    """
    table = run.image_paths(method)
    sample, counts = read_rows(
        table, categories=len(run.names), width=max(run.widths), per_category=per_category, advance=advance
    )
    entries = max(50, _MOST_ENTRIES // (len(stored_searches(run)) * len(run.names)))
    return sample, counts, neuron_use(counts, limit=entries)


def _first(run: Run, method: str, sample: PathSample, use: Use) -> dict[str, go.Figure | None]:
    """The figures whose data the page replaces when another category is chosen."""
    width = max(run.widths)
    return {
        "paths": draw_paths(sample, run.category_paths(method), run.names, 0, width=width),
        "use": draw_neuron_use(use, run.names, 0, run.widths),
    }


def thinned(sample: PathSample) -> PathSample:
    """At most `_MOST_POINTS` images, equally many per category."""
    categories = len(np.unique(sample.category))
    kept = sample.first(max(1, _MOST_POINTS // max(categories, 1)))[:_MOST_POINTS]
    return PathSample(
        category=sample.category[kept],
        neurons=sample.neurons[kept],
        files=[sample.files[position] for position in kept],
        probability=sample.probability[kept],
        score=sample.score[kept],
        prediction=sample.prediction[kept],
    )


def _compact(run: Run, method: str, sample: PathSample, use: Use) -> dict[str, Any]:
    paths = run.category_paths(method)
    categories = np.arange(len(run.names) + 1)
    return {
        "start": np.searchsorted(sample.category, categories).tolist(),
        "neurons": sample.neurons.ravel().tolist(),
        "files": [shortened(file, 60) for file in sample.files],
        "probability": [round(value, 4) for value in sample.probability.tolist()],
        "paths": None if paths is None else paths.neurons[:, :, 0].tolist(),
        "use": {
            "start": use.start.tolist(),
            "layer": use.layer.tolist(),
            "neuron": use.neuron.tolist(),
            "count": use.count.tolist(),
            "images": use.images.tolist(),
        },
    }
