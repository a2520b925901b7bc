from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

import nplight.report
from nplight.errors import ArgumentError
from nplight.report import (
    Run,
    faithfulness_figure,
    image_map_figure,
    neuron_use,
    neuron_use_figure,
    paths_figure,
    pruning_figure,
    read_rows,
    read_run,
    selectivity_figure,
    similarity_figure,
)
from nplight.report.path_figures import draw_image_map, draw_neuron_use, draw_paths
from nplight.report.theme import distinct_names, line_style, marker_style, plain_text
from tests.report.samples import HOSTILE, write_run


def test_the_charts_show_the_figures_of_the_run(finished: Path) -> None:
    run = read_run(finished)
    metrics = json.loads((finished / "metrics.json").read_text())
    pruning = pruning_figure(run)
    drawn = {
        (trace.name, 0.5 if trace.xaxis in (None, "x") else 1.0, size): value
        for trace in pruning.data
        for size, value in zip(trace.x, trace.y)
    }
    rows = [row for row in metrics["conditions"] if row["condition"] == "kept"]
    for row in rows:
        assert drawn[row["method"], row["pruned"], row["kept"]] == pytest.approx(100 * row["accuracy"])
    clean = 100 * metrics["conditions"][0]["accuracy"]
    assert drawn["clean: nothing pruned", 1.0, 4] == pytest.approx(clean)
    assert len(drawn) == len(rows) + 4

    curves = faithfulness_figure(run)
    lines = {trace.name: trace for trace in curves.data if trace.name}
    assert set(lines) == {"jas", "random"}
    for name, curve in metrics["faithfulness"].items():
        assert list(lines[name].x) == curve["sizes"]
        assert list(lines[name].y) == pytest.approx([100 * point["value"] for point in curve["accuracy"]], abs=1e-3)
    assert lines["random"].line.dash == "dash"
    assert sum(trace.fill == "toself" for trace in curves.data) == 2

    matrix = selectivity_figure(run, order=[3, 1, 0, 2, 4, 5, 6, 7, 8, 9])
    accuracy = json.loads((finished / "selectivity.json").read_text())["accuracy"]
    assert matrix.data[0].z[0][1] == round(100 * accuracy[3][1])


FIGURES: dict[str, Callable[[Run], go.Figure]] = {
    name: getattr(nplight.report, name) for name in nplight.report.__all__ if name.endswith("_figure")
}
OF_PATHS = {"image_map_figure", "neuron_use_figure", "paths_figure", "similarity_figure"}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_takes_a_run_and_says_what_it_lacks(finished: Path, tmp_path: Path, name: str) -> None:
    assert len(FIGURES) == 7
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


def test_paths_are_lines_and_the_categorys_is_bold(tmp_path: Path) -> None:
    write_run(tmp_path, categories=3, images=4)
    run = read_run(tmp_path)
    assert run.table is not None
    sample, counts = read_rows(run.table, categories=3, width=40, per_category=50)
    paths = run.category_paths("jas")
    assert paths is not None
    figure = draw_paths(sample, paths, run.names, 1, 2, width=40)
    thin, bold, beside, _ = figure.data
    own = np.flatnonzero(sample.category == 1)
    assert len(thin.x) == len(own) * 5
    assert list(thin.y[:4]) == sample.neurons[own[0]].tolist()
    assert thin.y[4] is None
    assert thin.text[0] == f"class 1/image {sample.files[own[0]].split()[-1]}: {sample.probability[own[0]]:.1%}"
    assert list(bold.y) == paths.neurons[1, :, 0].tolist()
    assert bold.line.width > thin.line.width
    assert beside.name == "2: images"

    plane = np.arange(24.0).reshape(12, 2)
    drawn = draw_image_map(plane, sample, run.names)
    assert sorted(x for trace in drawn.data for x in trace.x) == plane[:, 0].tolist()
    assert drawn.data[1].marker.color != drawn.data[0].marker.color

    heat = draw_neuron_use(neuron_use(counts, limit=99), run.names, 0, run.widths).data[0]
    share = counts.counts.to_dense()[0].numpy() / 4 * 100
    assert np.allclose(heat.z, share)


def test_wide_layers_share_columns_and_show_the_neuron_used_most(tmp_path: Path) -> None:
    write_run(tmp_path, categories=1, images=9, width=1000, layers=2)
    run = read_run(tmp_path)
    assert run.table is not None
    _, counts = read_rows(run.table, categories=1, width=1000, per_category=50)
    heat = draw_neuron_use(neuron_use(counts, limit=99), run.names, 0, run.widths).data[0]
    share = (counts.counts.to_dense()[0].numpy() / 9 * 100).reshape(2, 125, 8)
    assert np.allclose(heat.z, share.max(-1).round(1))
    layer, column = np.unravel_index(np.argmax(heat.z), heat.z.shape)
    assert counts.counts.to_dense()[0, layer, heat.customdata[layer][column]] == share.max() * 9 / 100


def test_names_are_shown_letter_by_letter_and_told_apart() -> None:
    shown = distinct_names(HOSTILE)
    assert len(set(shown)) == len(HOSTILE)
    assert shown[-2:] == ["crane (8)", "crane (9)"]
    assert max(map(len, shown)) < 32
    for name in map(plain_text, HOSTILE):
        assert "<" not in name
    assert plain_text("a & <b>") == "a &amp; &lt;b&gt;"


def test_styles_differ_as_far_as_promised() -> None:
    assert len({tuple(line_style(place).values()) for place in range(21)}) == 21
    assert len({tuple(marker_style(place).values()) for place in range(49)}) == 49
