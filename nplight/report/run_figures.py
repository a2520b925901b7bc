"""Figures of a run for a notebook: each takes a `Run` and refuses one without the data it draws."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from nplight.errors import ArgumentError, listed
from nplight.metrics import category_similarity
from nplight.report.arrangement import clustered, image_plane
from nplight.report.page_data import lines_per_category, search_rows, stored_searches, thinned
from nplight.report.path_figures import draw_image_map, draw_neuron_use, draw_paths, draw_similarity
from nplight.report.plotly_chart import plotly_chart
from nplight.report.result_figures import draw_selectivity
from nplight.report.run_charts import CHARTS, run_styles
from nplight.report.run_data import Run


def normalised_figure(run: Run) -> go.Figure:
    """Normalised faithfulness against neurons kept per layer, a panel per measure and tokens that tells searches apart.

    0 is the value with every neuron pruned, 1 that without an edit. Bands are the 95% intervals of the main search and
    of the control.

    Args:
        run: from `read_run`.

    Raises:
        ArgumentError: the run has no curves.

    Examples:
        >>> from nplight.report import normalised_figure, read_run
        >>> figure = normalised_figure(read_run("runs/digits"))
        >>> figure.show()  # doctest: +SKIP
    """
    way_out = "validate with several `kept`, and 1.0 among the `fractions` of a PathEvaluation,"
    return _drawn(_chart(run, "normalised"), run, "curves of faithfulness", way_out)


def pruning_figure(run: Run) -> go.Figure:
    """Top-1 accuracy (%) against neurons kept per layer, a panel per pruned share of the others.

    Panels in which the 95% intervals of all lines overlap are left out, unless all do.

    Args:
        run: from `read_run`.

    Raises:
        ArgumentError: the run has no conditions that keep a path.

    Examples:
        >>> from nplight.report import pruning_figure, read_run
        >>> figure = pruning_figure(read_run("runs/digits"))
        >>> figure.layout.xaxis.title.text, figure.layout.yaxis.title.text
        ('neurons kept per layer', 'top-1, %')
    """
    figure = _chart(run, "pruning")
    return _drawn(figure, run, "conditions that keep a path", "validate or test with a PathEvaluation")


def faithfulness_figure(run: Run) -> go.Figure:
    """Top-1 accuracy (%) against neurons kept per layer, all others pruned, from few to all; bands are 95% intervals.

    Args:
        run: from `read_run`.

    Raises:
        ArgumentError: the run has no curves.

    Examples:
        >>> from nplight.report import faithfulness_figure, read_run
        >>> run = read_run("runs/digits")
        >>> figure = faithfulness_figure(run)
        >>> figure.layout.xaxis.ticktext[-1] == str(max(run.widths))  # up to every neuron
        True
    """
    figure = _chart(run, "faithfulness")
    way_out = "validate with several `kept`, and 1.0 among the `fractions` of a PathEvaluation,"
    return _drawn(figure, run, "curves of faithfulness", way_out)


def selectivity_figure(run: Run, order: Sequence[int] | None = None) -> go.Figure:
    """Top-1 accuracy (%) of each category (rows) under each category's path (columns).

    Args:
        run: from `read_run`.
        order: of the categories; `None`: by number.

    Raises:
        ArgumentError: the run has no selectivity, or `order` names an unknown category.

    Examples:
        >>> from nplight.report import read_run, selectivity_figure
        >>> run = read_run("runs/digits")  # validated with a PathSelectivity
        >>> figure = selectivity_figure(run, order=[3, 5, 8])
        >>> figure.data[0].x, figure.data[0].z.shape
        (('3', '5', '8'), (3, 3))
    """
    categories = len(_checked(run).selectivity.get("accuracy", ()))
    for category in order or ():
        _check_category("order", category, categories)
    return _drawn(draw_selectivity(run, order), run, "a selectivity", "validate with a PathSelectivity")


def stability_figure(run: Run) -> go.Figure:
    """Surviving share of the paths (%) against severity, one panel per perturbation.

    Args:
        run: from `read_run`.

    Raises:
        ArgumentError: the run has no stability.

    Examples:
        >>> from nplight.report import read_run, stability_figure
        >>> run = read_run("runs/digits")  # validated with a PathStability of noise and JPEG compression
        >>> [panel.text for panel in stability_figure(run).layout.annotations]
        ['noise', 'jpeg']
    """
    return _drawn(_chart(run, "stability"), run, "a stability", "validate with a PathStability")


def sanity_figure(run: Run) -> go.Figure:
    """Share of the paths (%) that stays while weights are randomised from the head down.

    Args:
        run: from `read_run`.

    Raises:
        ArgumentError: the run has no sanity checks.

    Examples:
        >>> from nplight.report import read_run, sanity_figure
        >>> run = read_run("runs/digits")  # validated with a PathSanity
        >>> steps = sanity_figure(run).layout.xaxis.ticktext
        >>> steps[0], steps[-1]
        ('head', 'embedding')
    """
    return _drawn(_chart(run, "sanity"), run, "sanity checks", "validate with a PathSanity")


def dose_figure(run: Run) -> go.Figure:
    """The change of the label's probability (%) against the factor on the path's neurons.

    Args:
        run: from `read_run`.

    Raises:
        ArgumentError: the run has no other factors than 0 and 2.

    Examples:
        >>> from nplight.report import dose_figure, read_run
        >>> figure = dose_figure(read_run("runs/digits"))
        >>> path = next(trace for trace in figure.data if trace.name == "jas")
        >>> path.x[0], path.x[-1], path.y[path.x.index(1.0)]  # from removed to enhanced; a factor of 1 edits nothing
        (0.0, 2.0, 0.0)
    """
    return _drawn(_chart(run, "dose"), run, "scaled paths", "validate with `scales` of a PathEvaluation")


def depth_figure(run: Run) -> go.Figure:
    """The label's mean probability (%) with the path removed, and kept, in the first layers alone.

    Args:
        run: from `read_run`.

    Raises:
        ArgumentError: the run has no edits of the first layers.

    Examples:
        >>> from nplight.report import depth_figure, read_run
        >>> run = read_run("runs/digits")
        >>> figure = depth_figure(run)
        >>> figure.layout.xaxis.title.text, figure.layout.xaxis.ticktext[-1] == str(len(run.widths))
        ('first layers edited', True)
    """
    return _drawn(_chart(run, "depth"), run, "edits of the first layers", "validate with `depths` of a PathEvaluation")


def paths_figure(run: Run, category: int = 0, beside: int | None = None, *, search: str | None = None) -> go.Figure:
    """Neuron index against layer: a thin line per image, a bold line for the path of the category.

    Args:
        run: from `read_run`.
        category: whose paths are drawn, by number.
        beside: a second category.
        search: whose paths; `None`: the main search's.

    Raises:
        ArgumentError: the run has no image paths, or no such category or search.

    Examples:
        >>> from nplight.report import paths_figure, read_run
        >>> figure = paths_figure(read_run("runs/digits"), 3, beside=5)
        >>> [trace.name for trace in figure.data]
        ['3: images', '3: category path', '5: images', '5: category path']
    """
    name = _search(run, search)
    for argument, value in (("category", category), ("beside", beside)):
        if value is not None:
            _check_category(argument, value, len(run.names))
    sample, _, _ = search_rows(run, name, lines_per_category(run))
    return draw_paths(sample, run.category_paths(name), run.names, category, beside, width=max(run.widths))


def neuron_use_figure(run: Run, category: int = 0, *, search: str | None = None) -> go.Figure:
    """Layers x neurons: the share (%) of a category's images with a neuron on their path.

    Args:
        run: from `read_run`.
        category: by number.
        search: whose paths; `None`: the main search's.

    Raises:
        ArgumentError: the run has no image paths, or no such category or search.

    Examples:
        >>> from nplight.report import neuron_use_figure, read_run
        >>> run = read_run("runs/digits")
        >>> figure = neuron_use_figure(run, 3)
        >>> figure.layout.title.text, len(figure.data[0].z) == len(run.widths)  # a row per layer
        ('Neuron use: 3', True)
    """
    name = _search(run, search)
    _check_category("category", category, len(run.names))
    _, _, use = search_rows(run, name, 1)
    return draw_neuron_use(use, run.names, category, run.widths)


def similarity_figure(run: Run, *, search: str | None = None) -> go.Figure:
    """Cosine between the neurons used by the images of each pair of categories; similar categories are adjacent.

    Args:
        run: from `read_run`.
        search: whose paths; `None`: the main search's.

    Raises:
        ArgumentError: the run has no image paths, a single category, or no such search.

    Examples:
        >>> from nplight.report import read_run, similarity_figure
        >>> run = read_run("runs/digits")
        >>> figure = similarity_figure(run)
        >>> figure.data[0].z.shape, sorted(figure.data[0].x) == sorted(run.names)
        ((10, 10), True)
    """
    name = _search(run, search)
    if len(run.names) < 2:
        raise ArgumentError(f"`run` must have at least two categories to compare, but {run.path} has {len(run.names)}")
    _, counts, _ = search_rows(run, name, 1)
    similarity = category_similarity(counts)
    return draw_similarity(similarity, run.names, clustered(similarity))


def image_map_figure(run: Run, *, search: str | None = None) -> go.Figure:
    """Images on a plane, near each other if their paths share neurons (t-SNE); arguments as `similarity_figure`.

    Examples:
        >>> from nplight.report import image_map_figure, read_run
        >>> figure = image_map_figure(read_run("runs/digits"))
        >>> [trace.name for trace in figure.data if trace.name]  # a group of points per category
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']
    """
    name = _search(run, search)
    sample = thinned(search_rows(run, name, lines_per_category(run))[0])
    return draw_image_map(image_plane(sample.neurons, max(run.widths)), sample, run.names)


def _checked(run: Run) -> Run:
    if not isinstance(run, Run):
        raise ArgumentError(f"`run` must be a Run, as nplight.report.read_run gives it, got {type(run).__name__}")
    return run


def _search(run: Run, search: str | None) -> str:
    """The name of a search with image paths."""
    searches = stored_searches(_checked(run))
    if not searches:
        raise _missing(run, "image paths", "validate or predict with a NeuronPathSearch")
    if search is not None and search not in searches:
        raise ArgumentError(f"`search` must be one of {listed(map(repr, searches))}, got {search!r}")
    return search or searches[0]


def _check_category(argument: str, value: object, categories: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < categories:
        raise ArgumentError(f"`{argument}` must be the number of a category in 0 … {categories - 1}, got {value!r}")


def _chart(run: Run, name: str) -> go.Figure | None:
    chart = CHARTS[name](_checked(run), run_styles(run))
    return None if chart is None else plotly_chart(chart)


def _drawn(figure: go.Figure | None, run: Run, what: str, way_out: str) -> go.Figure:
    if figure is None:
        raise _missing(run, what, way_out)
    return figure


def _missing(run: Run, what: str, way_out: str) -> ArgumentError:
    return ArgumentError(f"`run` must have {what} to draw, but {run.path} has none; {way_out} makes them")
