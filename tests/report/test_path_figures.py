from __future__ import annotations

from pathlib import Path

import numpy as np

from nplight.report import (
    neuron_use,
    read_rows,
    read_run,
)
from nplight.report.path_figures import draw_image_map, draw_neuron_use, draw_paths
from tests.report.samples import write_run


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
