"""The data of the page: figures as JSON, and compact rows from which the script fills them for a chosen category."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import plotly.graph_objects as go

from nplight.errors import ArgumentError, listed
from nplight.metrics import NeuronCounts, category_similarity
from nplight.report.alone_file import page_alone, read_alone
from nplight.report.arrangement import clustered, image_plane
from nplight.report.category_table import read_removals
from nplight.report.concept_file import page_names, read_names
from nplight.report.neuron_use import Particular, Shared, Use, neuron_use, particular_neurons, shared_neurons
from nplight.report.path_figures import draw_image_map, draw_neuron_use, draw_similarity
from nplight.report.path_rows import Advance, PathSample, read_rows, unseen
from nplight.report.path_strips import Strips, path_strips, strips_of_paths
from nplight.report.picture_budget import within_budget
from nplight.report.plotly_chart import plotly_chart
from nplight.report.result_figures import draw_selectivity
from nplight.report.run_charts import run_charts
from nplight.report.run_data import Run
from nplight.report.search_data import MOST_IN_MATRIX, SearchRead, data_without_images, search_data
from nplight.report.similar_categories import SimilarCategories, kept_best, similar_categories
from nplight.report.strip_layout import LAYOUT
from nplight.report.theme import distinct_names, template
from nplight.report.value_histogram import EDGES

# Limits that keep the page below 6 MB: numbers over all methods, images on the plane, characters of pictures.
_MOST_NUMBERS = 300_000
_MOST_ENTRIES = 150_000
_MOST_LINES = 24
_MOST_POINTS = 2_000
_PICTURE_CHARACTERS = 2_500_000
_LISTED = 10


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a page.

    Attributes:
        figures: by name; only those that the run has results for.
        data: the remaining data of the page's script.
        shared: neurons of many categories, by method.
        particular: neurons specific to one category, by method.
        pairs: the most and the least similar categories, by method.
        strips: the path of each category, by method.
        shown: maximum number of images per category whose paths are drawn.
    """

    figures: dict[str, go.Figure]
    data: dict[str, Any]
    shared: dict[str, list[Shared]]
    particular: dict[str, list[Particular]]
    pairs: dict[str, SimilarCategories]
    strips: dict[str, Strips]
    shown: int


def contents(run: Run, advance: Advance = unseen, beside: Run | None = None) -> Contents:
    """Read the rows of a run and draw its figures.

    Args:
        run: the run.
        advance: called with the number of rows after each group of rows is read.
        beside: a second run, whose searches are added.

    Raises:
        ArgumentError: `beside` has other categories or layers.
    """
    if beside is not None:
        _check_comparable(run, beside)
    figures: dict[str, go.Figure | None] = {name: plotly_chart(chart) for name, chart in run_charts(run).items()}
    searches = run_searches(run, advance)
    first = next((search.read for search in searches.values() if search.read is not None), None)
    others = {} if beside is None else _searches_beside(run, beside, advance)
    searches |= others
    plane = None
    if first is not None:
        drawn, plane = _first(run, first)
        figures |= drawn
    if len(run.names) <= MOST_IN_MATRIX:
        figures["selectivity"] = draw_selectivity(run, None if first is None else first.order)
    data = {
        "names": distinct_names(run.names, 60),
        "widths": run.widths,
        "methods": {name: search.data for name, search in searches.items()},
        "edges": EDGES,
        "beside": next(iter(others), None),
        "map": plane,
        "selectivity": kept_best(run),
        "layout": dict(LAYOUT),
        "alone": page_alone(read_alone(run.path), len(run.names)),
        "concepts": page_names(read_names(run.path)),
        "pictures": within_budget(run.pictures, _PICTURE_CHARACTERS),
    }
    with_rows = {name: search for name, search in searches.items() if search.similar is not None}
    return Contents(
        figures={name: figure for name, figure in figures.items() if figure is not None},
        data=data,
        shared={name: search.shared for name, search in with_rows.items()},
        particular={name: search.particular for name, search in with_rows.items()},
        pairs={name: search.similar for name, search in with_rows.items() if search.similar is not None},
        strips={name: search.strips for name, search in searches.items()},
        shown=lines_per_category(run),
    )


@dataclass(frozen=True, slots=True)
class SearchContents:
    """The contents of a page of one search.

    Attributes:
        data: for the page's script.
        strips: the path of each category.
        shared: neurons of many categories.
        particular: neurons specific to one category.
        similar: the most and the least similar categories; `None` without image paths.
        read: what the rows hold, of the first search with image paths alone.
    """

    data: dict[str, Any]
    strips: Strips
    shared: list[Shared]
    particular: list[Particular]
    similar: SimilarCategories | None
    read: SearchRead | None


def run_searches(run: Run, advance: Advance = unseen) -> dict[str, SearchContents]:
    """The searches of a run with image paths or category paths, the main one first.

    Args:
        run: the run.
        advance: called with the number of rows after each group of rows is read.
    """
    removals, stored = read_removals(run), stored_searches(run)
    searches = {}
    for name in run.methods:
        paths = run.category_paths(name)
        if name in stored:
            read = _read(run, name, advance)
            searches[name] = SearchContents(
                search_data(run, name, read, removals),
                read.strips,
                shared_neurons(read.counts, _LISTED),
                particular_neurons(read.counts, _LISTED),
                similar_categories(read.similarity),
                read if name == stored[0] else None,
            )
        elif paths is not None:
            strips = strips_of_paths(paths)
            searches[name] = SearchContents(data_without_images(strips), strips, [], [], None, None)
    return searches


def run_name(run: Run) -> str:
    """The name of a run: that of its folder."""
    return run.path.resolve().name


def _check_comparable(run: Run, beside: Run) -> None:
    for what, first, second in (("categories", run.names, beside.names), ("layers", run.widths, beside.widths)):
        if first != second:
            raise ArgumentError(
                f"`RUN2` must have the {what} of `RUN`, so that their paths can be compared: {beside.path} has "
                f"{listed(second, 10)}, and {run.path} {listed(first, 10)}"
            )


def _searches_beside(run: Run, beside: Run, advance: Advance) -> dict[str, SearchContents]:
    """The searches of the second run under names of their own; its drawings and pictures are left out."""
    name = run_name(beside) if run_name(beside) != run_name(run) else str(beside.path)
    return {
        f"{search} of {name}": replace(found, data={**found.data, "run": name}, read=None)
        for search, found in run_searches(beside, advance).items()
    }


def _read(run: Run, search: str, advance: Advance) -> SearchRead:
    sample, counts, use = search_rows(run, search, lines_per_category(run), advance)
    similarity = category_similarity(counts)
    order = clustered(similarity) if len(similarity) <= MOST_IN_MATRIX else list(range(len(similarity)))
    strips = path_strips(run.image_paths(search), counts, run.category_paths(search))
    return SearchRead(sample, counts, use, strips, similarity, order)


def to_json(page: Contents) -> str:
    """Figures, templates and data for the page's script."""
    figures = {name: json.loads(figure.to_json()) for name, figure in page.figures.items()}
    for figure in figures.values():
        # The page has its own headings, and sets the template of its theme on every figure.
        for name in ("title", "template"):
            figure["layout"].pop(name, None)
    themes = {name: template(name).to_plotly_json() for name in ("light", "dark")}
    return json.dumps({"figures": figures, "templates": themes, **page.data}, separators=(",", ":"), allow_nan=False)


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


def _first(run: Run, read: SearchRead) -> tuple[dict[str, go.Figure | None], dict[str, Any]]:
    """The figures of a search, whose data the page replaces, and the images of its map."""
    sample = thinned(read.sample)
    plane = image_plane(sample.neurons, max(run.widths))
    figures: dict[str, go.Figure | None] = {
        "use": draw_neuron_use(read.use, run.names, 0, run.widths),
        "map": draw_image_map(plane, sample, run.names),
    }
    if 1 < len(run.names) <= MOST_IN_MATRIX:
        figures["similarity"] = draw_similarity(read.similarity, run.names, read.order)
    coordinates = {"x": plane[:, 0].round(2).tolist(), "y": plane[:, 1].round(2).tolist()}
    return figures, {**coordinates, "category": sample.category.tolist()}


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
