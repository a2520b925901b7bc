"""The neurons of a strip are those of the category's path, with their support."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nplight.report import read_run
from nplight.report.strip_neurons import strip_neurons, strips_of_search
from tests.report.samples import write_run


def test_a_strip_names_the_neurons_of_the_path_with_their_support(finished: Path) -> None:
    run = read_run(finished)
    for search in run.methods:
        strips, paths = strips_of_search(run, search), run.category_paths(search)
        assert strips is not None
        assert paths is not None
        table = run.image_paths(search)
        labels, neurons = np.asarray(table["label"]), np.asarray(table["neurons"])
        scores = np.asarray(table["neuron_scores"], dtype=np.float64)
        for category in range(10):
            columns = strip_neurons(strips, category, run.pictures, {(0, 3): "loop"})
            own = labels == category
            for layer, column in enumerate(columns):
                on_path = [neuron.neuron for neuron in column if neuron.on_path]
                assert on_path == paths.neurons[category, layer].tolist()
                for neuron in column:
                    has = (neurons[own, layer] == neuron.neuron).any(-1)
                    assert neuron.support == pytest.approx(has.mean())
                    total = scores[own].sum()
                    if total > 0:
                        mine = scores[own, layer][neurons[own, layer] == neuron.neuron].sum()
                        assert neuron.score == pytest.approx(mine / total)
                    assert neuron.name == ("loop" if (layer, neuron.neuron) == (0, 3) else "")
                support = [neuron.support or 0 for neuron in column if not neuron.on_path]
                assert support == sorted(support, reverse=True)


def test_the_link_is_the_share_of_images_with_both_neurons(finished: Path) -> None:
    run = read_run(finished)
    strips = strips_of_search(run, "jas")
    assert strips is not None
    table = run.image_paths("jas")
    neurons = np.asarray(table["neurons"])[np.asarray(table["label"]) == 4]
    columns = strip_neurons(strips, 4, {}, {})
    for layer in range(len(columns) - 1):
        first, second = columns[layer][0], columns[layer + 1][0]
        both = (neurons[:, layer] == first.neuron).any(-1) & (neurons[:, layer + 1] == second.neuron).any(-1)
        assert first.linked == pytest.approx(both.mean())
    assert columns[-1][0].linked is None


def test_the_picture_is_the_image_with_the_largest_value(finished: Path) -> None:
    run = read_run(finished)
    strips = strips_of_search(run, "jas")
    assert strips is not None
    first = strip_neurons(strips, 0, run.pictures, {})[0][0]
    assert first.picture is not None
    assert first.picture.pixels.shape[2] == 3
    assert first.picture.heat is not None
    assert first.picture.heat.shape == tuple(run.pictures["grid"])
    assert 0 <= first.picture.heat.min() <= first.picture.heat.max() <= 1
    assert strip_neurons(strips, 0, {}, {})[0][0].picture is None


def test_a_search_without_images_has_the_support_of_its_paths(tmp_path: Path) -> None:
    folder = write_run(tmp_path, categories=2, images=3).path
    content = json.loads((folder / "category_paths.json").read_text())
    assert content
    for part in (folder / "paths").iterdir():
        part.unlink()
    (folder / "metrics.json").write_text('{"conditions": []}')
    run = read_run(folder)
    strips = strips_of_search(run, "jas")
    assert strips is not None
    columns = strip_neurons(strips, 1, {}, {})
    assert all(len(column) == 1 and column[0].on_path for column in columns)
    assert strips_of_search(run, "nosuch") is None
