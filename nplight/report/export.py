"""Figures of a run for a paper, as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nplight.errors import ArgumentError
from nplight.metrics import category_similarity
from nplight.report.arrangement import clustered
from nplight.report.concept_file import read_names
from nplight.report.figure_settings import FigureSettings
from nplight.report.path_rows import read_rows
from nplight.report.path_strips import Strips
from nplight.report.result_figures import selectivity_values
from nplight.report.run_charts import run_charts
from nplight.report.run_data import Run, read_run
from nplight.report.static_chart import static_chart, static_matrix, static_selectivity
from nplight.report.static_style import paper_style, saved
from nplight.report.strip_figure import strip_figure
from nplight.report.strip_neurons import strip_neurons, strips_of_search
from nplight.results.neuron_names import Neuron

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawn = tuple[str, Callable[[], "Figure"]]

_DEFAULT = FigureSettings()


def export_figures(directory: str | Path, target: Path, settings: FigureSettings = _DEFAULT) -> list[Path]:
    """Write the figures of a run as files for a paper: no titles, one style, a white ground, fonts embedded.

    They are the charts of `run_charts`, `selectivity`, `similarity`, and `path_CATEGORY`, the strip of each category. A
    file's name is that of the figure, and the same run gives the same bytes.

    Args:
        directory: the run folder.
        target: the folder, created if missing.
        settings: which figures, how wide, and in which formats.

    Returns:
        The files.

    Raises:
        RunFolderError: there is no run, or it is damaged.
        ArgumentError: the run lacks a category or search, there is nothing to draw, or the folder cannot be written to.

    Examples:
        >>> from pathlib import Path
        >>> from nplight.report import FigureSettings, export_figures
        >>> settings = FigureSettings(categories=[3], width=85.0, formats=["svg"])
        >>> files = export_figures("runs/digits", Path("figures"), settings)
        >>> files[0].as_posix(), files[-1].as_posix()
        ('figures/normalised.svg', 'figures/path_3.svg')
    """
    run = read_run(directory)
    check_figures(run, target, settings)
    paths = []
    for name, draw in _figures(run, settings):
        with paper_style():
            figure = draw()
            for form in settings.formats:
                paths.append(target / f"{name}.{form}")
                try:
                    paths[-1].write_bytes(saved(figure, form))
                except OSError as error:
                    raise _unwritable(target, error) from error
    if not paths:
        raise ArgumentError(f"`directory` must be a run with paths or metrics to draw, and {directory} has neither")
    return paths


def check_figures(run: Run, target: Path, settings: FigureSettings) -> None:
    """Create the folder of the figures, and refuse before work starts what `export_figures` would.

    Raises:
        ArgumentError: the run lacks a category or search, or the folder cannot be created.
    """
    settings.check(run)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(target, error) from error


def _unwritable(target: Path, error: OSError) -> ArgumentError:
    return ArgumentError(f"`figures` must be a folder that can be written to, got {target}: {error.strerror or error}")


def _figures(run: Run, settings: FigureSettings) -> Iterator[Drawn]:
    """The name of every figure, and what draws it."""
    width = settings.width
    for name, chart in run_charts(run, settings.searches).items():
        yield name, lambda chart=chart: static_chart(chart, width)  # type: ignore[misc]
    search = _strip_search(run, settings)
    order = None
    if search is not None and run.table is not None and search in run.table.searches and len(run.names) > 1:
        _, counts = read_rows(run.image_paths(search), categories=len(run.names), width=max(run.widths), per_category=1)
        similarity = category_similarity(counts)
        order = clustered(similarity)
        values = similarity.cpu().numpy()
        labels = {"unit": "cosine", "rows": "", "columns": ""}
        yield "similarity", lambda: static_matrix(values, run.names, order, width=width, **labels)
    accuracy = selectivity_values(run)
    if accuracy is not None:
        yield "selectivity", lambda: static_selectivity(run.names, accuracy, order, width)
    strips = None if search is None else strips_of_search(run, search)
    if strips is not None:
        names = {neuron: name.text for neuron, name in read_names(run.path).items()}
        for category in settings.category_numbers(run):
            yield f"path_{category}", lambda category=category: _strip(run, strips, category, names, width)  # type: ignore[misc]


def _strip_search(run: Run, settings: FigureSettings) -> str | None:
    """The search of the categories' figures: the first with paths."""
    stored = () if run.table is None else run.table.searches
    names = run.methods if settings.searches is None else list(settings.searches)
    return next((name for name in names if name in stored or run.category_paths(name) is not None), None)


def _strip(run: Run, strips: Strips, category: int, names: Mapping[Neuron, str], width: float) -> Figure:
    return strip_figure(strip_neurons(strips, category, run.pictures, names), width)
