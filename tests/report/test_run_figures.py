from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import plotly.graph_objects as go
import pytest

import nplight.report
from nplight.errors import ArgumentError
from nplight.report import (
    Run,
    image_map_figure,
    neuron_use_figure,
    paths_figure,
    read_run,
    selectivity_figure,
    similarity_figure,
)
from tests.report.samples import write_run

FIGURES: dict[str, Callable[[Run], go.Figure]] = {
    name: getattr(nplight.report, name) for name in nplight.report.__all__ if name.endswith("_figure")
}
OF_PATHS = {"image_map_figure", "neuron_use_figure", "paths_figure", "similarity_figure"}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_takes_a_run_and_says_what_it_lacks(finished: Path, tmp_path: Path, name: str) -> None:
    assert len(FIGURES) == 12
    figure = FIGURES[name](read_run(finished))
    assert isinstance(figure, go.Figure)
    assert len(figure.data)
    write_run(tmp_path / "searched", categories=2, images=3)
    (tmp_path / "tested").mkdir()
    (tmp_path / "tested" / "metrics.json").write_text('{"conditions": []}')
    lacking = tmp_path / ("tested" if name in OF_PATHS else "searched")
    with pytest.raises(ArgumentError, match=rf"`run` must have .* to draw, but {lacking} has none; .* makes them"):
        FIGURES[name](read_run(lacking))
    with pytest.raises(ArgumentError, match=r"`run` must be a Run, as nplight\.report\.read_run gives it, got str"):
        FIGURES[name](str(finished))  # type: ignore[arg-type]


def test_figures_are_of_the_search_and_the_category_that_are_asked_for(finished: Path) -> None:
    run = read_run(finished)
    for search in ("jas", "random"):
        paths = run.category_paths(search)
        assert paths is not None
        bold = [trace for trace in paths_figure(run, 3, 5, search=search).data if "category path" in trace.name]
        assert [list(trace.y) for trace in bold] == paths.neurons[[3, 5], :, 0].tolist()
        assert neuron_use_figure(run, 3, search=search).layout.title.text == "Neuron use: 3"
    for figure in (paths_figure, neuron_use_figure):
        with pytest.raises(ArgumentError, match=r"`category` must be the number of a category in 0 … 9, got 10"):
            figure(run, 10)
    for figure in (paths_figure, neuron_use_figure, similarity_figure, image_map_figure):
        with pytest.raises(ArgumentError, match=r"`search` must be one of 'jas', 'random', got 'conductance'"):
            figure(run, search="conductance")
    with pytest.raises(ArgumentError, match=r"`order` must be the number of a category in 0 … 9, got -1"):
        selectivity_figure(run, order=[0, -1])


def test_one_category_is_similar_to_no_other(tmp_path: Path) -> None:
    write_run(tmp_path, categories=1, images=3)
    with pytest.raises(ArgumentError, match=r"`run` must have at least two categories to compare, but .* has 1"):
        similarity_figure(read_run(tmp_path))
