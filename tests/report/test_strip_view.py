from __future__ import annotations

from pathlib import Path

import pytest

from nplight.report import read_run
from nplight.report.page_data import contents
from nplight.report.strip_view import neuron_name, strip_view
from tests.report.samples import write_run


@pytest.mark.parametrize("search", ["jas", "random"])
def test_the_boxes_of_the_path_are_the_category_path(finished: Path, search: str) -> None:
    run = read_run(finished)
    page = contents(run)
    paths = run.category_paths(search)
    assert paths is not None
    for category in range(10):
        view = strip_view(
            page.strips[search], category, search=search, names=page.data["names"], pictures=page.data["pictures"]
        )
        shown = [[box.name for box in column if box.on_path] for column in view.columns]
        neurons = paths.neurons[category].tolist()
        assert shown == [[neuron_name(layer, one) for one in own] for layer, own in enumerate(neurons)]
        assert f"category {category}, search {search}" in view.title


def test_boxes_do_not_overlap_and_links_end_at_them(tmp_path: Path) -> None:
    write_run(tmp_path, categories=2, images=9)
    run = read_run(tmp_path)
    page = contents(run)
    view = strip_view(page.strips["jas"], 1, search="jas", names=page.data["names"], pictures={})
    for column in view.columns:
        ends = [box.top + box.height for box in column]
        assert all(end < box.top for end, box in zip(ends, column[1:]))
        assert ends[-1] < view.other_top < view.height
        assert all(0 <= box.support <= 100 for box in column if box.support is not None)
    assert any(link.rest for link in view.links)
    assert len([link for link in view.links if not link.rest]) <= 5 * (len(view.columns) - 1)
