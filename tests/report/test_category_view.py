from __future__ import annotations

from pathlib import Path

from nplight.report import read_run
from nplight.report.category_view import category_view
from nplight.report.page_data import contents
from tests.report.samples import write_run


def test_the_rows_are_the_columns_of_the_script(finished: Path) -> None:
    run = read_run(finished)
    data = contents(run).data
    columns = data["methods"]["jas"]["categories"]
    view = category_view(run, "jas", columns, data["names"])
    assert view is not None
    assert len(view.rows) == 10
    assert {len(row) for row in view.rows} == {len(view.heads)}
    removed = view.heads.index("Δ prob., path removed")
    lower = 0
    for category, row in enumerate(view.rows):
        assert row[0] == str(category)
        assert row[removed] == f"{100 * columns['removed'][category]:.2f}%".replace("-", "−")
        lower += columns["removed"][category] < columns["random"][category]
    assert view.standing.startswith(f"In {lower} of 10 categories (")


def test_a_run_that_was_not_evaluated_has_what_it_has(tmp_path: Path) -> None:
    write_run(tmp_path, categories=2, images=4)
    run = read_run(tmp_path)
    data = contents(run).data
    view = category_view(run, "jas", data["methods"]["jas"]["categories"], data["names"])
    assert view is not None
    assert view.heads == ["category", "searched images", "their top-1", "path shared by two images"]
    assert view.standing == ""
    assert category_view(run, "jas", None, data["names"]) is None
