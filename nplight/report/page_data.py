"""What the page draws: figures as JSON, and compact rows from which it fills them for a chosen category."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from nplight.metrics import NeuronCounts, category_similarity, similar_pairs
from nplight.report.arrangement import clustered, image_plane
from nplight.report.neuron_use import Particular, Shared, Use, neuron_use, particular_neurons, shared_neurons
from nplight.report.path_figures import (
    draw_image_map,
    draw_neuron_use,
    draw_paths,
    draw_similarity,
)
from nplight.report.path_rows import Advance, PathSample, read_rows, unseen
from nplight.report.result_figures import draw_faithfulness, draw_pruning, draw_selectivity
from nplight.report.run_data import Run
from nplight.report.theme import distinct_names, shortened, template

# What keeps the page below 10 MB: numbers of all methods together, images on the plane, characters of pictures.
_MOST_NUMBERS = 600_000
_MOST_ENTRIES = 300_000
_MOST_LINES = 50
_MOST_POINTS = 2_000
_PICTURE_CHARACTERS = 2_500_000
_LISTED = 10

Pair = tuple[int, int, float]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a page is made of.

    Attributes:
        figures: by name; only those that the run has results for.
        data: what the page's script reads besides.
        shared: neurons of many categories, by method.
        particular: neurons of one category, by method.
        pairs: the most and the least similar categories of the first method.
        shown: images a category, at most, whose paths are drawn.
    """

    figures: dict[str, go.Figure]
    data: dict[str, Any]
    shared: dict[str, list[Shared]]
    particular: dict[str, list[Particular]]
    pairs: tuple[list[Pair], list[Pair]]
    shown: int


def contents(run: Run, advance: Advance = unseen) -> Contents:
    """Read the rows of a run, once each, and make its figures; `advance` is told of every rows that are read."""
    figures = {"pruning": draw_pruning(run), "faithfulness": draw_faithfulness(run)}
    methods: dict[str, Any] = {}
    shared, particular = {}, {}
    pairs: tuple[list[Pair], list[Pair]] = ([], [])
    order = None
    most = lines_per_category(run)
    for method in stored_searches(run):
        sample, counts, use = search_rows(run, method, most, advance)
        if not methods:
            figures |= _first(run, method, sample, use)
            similarity = category_similarity(counts)
            order, pairs = clustered(similarity), similar_pairs(similarity, _LISTED)
            some = thinned(sample)
            plane = image_plane(some.neurons, max(run.widths))
            figures["map"] = draw_image_map(plane, some, run.names)
            places = {"x": plane[:, 0].round(2).tolist(), "y": plane[:, 1].round(2).tolist()}
            plane_data = {**places, "category": some.category.tolist()}
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
        "pictures": within_budget(run.pictures, _PICTURE_CHARACTERS),
    }
    made = {name: figure for name, figure in figures.items() if figure is not None}
    return Contents(made, data, shared, particular, pairs, most)


def to_json(found: Contents) -> str:
    """Figures, templates and data for the page's script."""
    figures = {name: json.loads(figure.to_json()) for name, figure in found.figures.items()}
    for figure in figures.values():
        # The page has its own heads, and puts a template of its theme on every figure.
        for name in ("title", "template"):
            figure["layout"].pop(name, None)
    themes = {name: template(name).to_plotly_json() for name in ("light", "dark")}
    return json.dumps({"figures": figures, "templates": themes, **found.data}, separators=(",", ":"), allow_nan=False)


def within_budget(pictures: Mapping[str, Any], characters: int) -> dict[str, Any]:
    """As many pictures as fit: the first of every category, then the first of every neuron, the second, and so on."""
    if not pictures:
        return {}
    sources = pictures["pictures"]
    samples: dict[str, list[Any]] = {label: [] for label in pictures["samples"]}
    drivers = [{**one, "images": []} for one in pictures["drivers"]]
    lists = [(samples[label], found) for label, found in pictures["samples"].items()]
    lists += [(kept["images"], one["images"]) for kept, one in zip(drivers, pictures["drivers"])]
    wanted = [(rank, kept, entry) for kept, found in lists for rank, entry in enumerate(found)]
    place: dict[int, int] = {}
    for _, kept, entry in sorted(wanted, key=lambda one: one[0]):
        number = entry[0]
        if number not in place:
            characters -= len(sources[number]["source"])
            if characters < 0:
                break
            place[number] = len(place)
        kept.append([place[number], *entry[1:]])
        characters -= len(entry[-1]) if isinstance(entry[-1], list) else 0
    shown = [sources[number] for number in place]
    return {"grid": pictures["grid"], "pictures": shown, "samples": samples, "drivers": drivers}


def stored_searches(run: Run) -> list[str]:
    """The searches with image paths, the main one first; not their parts for other sizes."""
    known = () if run.table is None else run.table.searches
    return [method for method in run.methods if method in known]


def lines_per_category(run: Run) -> int:
    """How many images of a category are drawn, at most."""
    share = max(1, len(stored_searches(run))) * max(1, len(run.names)) * max(1, len(run.widths))
    return max(1, min(_MOST_LINES, _MOST_NUMBERS // share))


def search_rows(run: Run, method: str, most: int, advance: Advance = unseen) -> tuple[PathSample, NeuronCounts, Use]:
    """A sample of a search's rows, at most so many of a category; how often each neuron is used, and by whom."""
    table = run.image_paths(method)
    sample, counts = read_rows(table, categories=len(run.names), width=max(run.widths), most=most, advance=advance)
    entries = max(50, _MOST_ENTRIES // (len(stored_searches(run)) * len(run.names)))
    return sample, counts, neuron_use(counts, most=entries)


def _first(run: Run, method: str, sample: PathSample, use: Use) -> dict[str, go.Figure | None]:
    """The figures whose data the page exchanges when another category is chosen."""
    width = max(run.widths)
    return {
        "paths": draw_paths(sample, run.category_paths(method), run.names, 0, width=width),
        "use": draw_neuron_use(use, run.names, 0, run.widths),
    }


def thinned(sample: PathSample) -> PathSample:
    """At most `_MOST_POINTS` images, as many of each category."""
    categories = len(np.unique(sample.category))
    kept = sample.first(max(1, _MOST_POINTS // max(categories, 1)))[:_MOST_POINTS]
    return PathSample(
        category=sample.category[kept],
        neurons=sample.neurons[kept],
        files=[sample.files[one] for one in kept],
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
