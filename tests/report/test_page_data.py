from __future__ import annotations

from pathlib import Path

from nplight.report import read_run
from nplight.report.page_data import contents
from nplight.report.search_data import MOST_IN_MATRIX
from tests.report.samples import write_run


def test_many_categories_have_their_nearest_instead_of_a_matrix(tmp_path: Path) -> None:
    for name, categories in (("few", MOST_IN_MATRIX), ("many", MOST_IN_MATRIX + 1)):
        write_run(tmp_path / name, categories=categories, images=3)
    few, many = (contents(read_run(tmp_path / name)) for name in ("few", "many"))
    assert "similarity" in few.figures
    assert "similarity" not in many.figures
    assert many.data["methods"]["jas"]["similarity"] is None
    for page in (few, many):
        assert [len(near) <= 10 for near in page.data["methods"]["jas"]["nearest"]] == [True] * len(page.data["names"])


def test_every_row_is_read_once_for_the_progress(tmp_path: Path) -> None:
    write_run(tmp_path, categories=4, images=9, methods=("jas", "random"), parts=3)
    run = read_run(tmp_path)
    read: list[int] = []
    contents(run, read.append)
    assert sum(read) == run.rows


def test_category_paths_without_image_paths_have_strips(tmp_path: Path) -> None:
    folder = write_run(tmp_path, categories=3, images=2, methods=("jas",))
    paths, _ = folder.read_category_paths()
    folder.write_category_paths({**paths, "joint": paths["jas"]}, 1)
    page = contents(read_run(tmp_path))
    assert list(page.strips) == ["jas", "joint"]
    assert page.data["methods"]["joint"]["categories"] is None
    assert page.data["methods"]["joint"]["strips"]["neurons"] == paths["jas"][1].neurons.flatten().tolist()
