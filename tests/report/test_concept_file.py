"""Names of neurons are written, read and shown."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from nplight.errors import RunFolderError
from nplight.report import read_run, report_html
from nplight.report.concept_file import page_names, read_names, write_names
from nplight.results import ConceptName
from nplight.store import RunFolder
from tests.report.samples import data_of, write_run

NAMES = {
    (0, 7): ConceptName("<loop>", 0.5, 0.1),
    (2, 3): ConceptName("ink", 0.1, 0.2),
    (3, 1): ConceptName("", math.nan, math.nan),
}


def test_names_come_back_as_they_were(tmp_path: Path) -> None:
    assert read_names(tmp_path) == {}
    path = write_names(RunFolder(tmp_path), NAMES, {"table": "strokes.csv"})
    assert path == tmp_path / "concept_names.json"
    back = read_names(tmp_path)
    assert {key: name for key, name in back.items() if key != (3, 1)} == {key: NAMES[key] for key in list(NAMES)[:2]}
    assert (back[3, 1].word, back[3, 1].told) == ("", False)


def test_the_page_has_them_as_data(tmp_path: Path) -> None:
    write_run(tmp_path, categories=2, images=2)
    assert data_of(report_html(read_run(tmp_path)))["concepts"] == {}
    write_names(RunFolder(tmp_path), NAMES, {})
    concepts = data_of(report_html(read_run(tmp_path)))["concepts"]
    assert concepts == page_names(NAMES)
    assert concepts["L0N7"] == {"name": "<loop>", "score": 0.5, "chance": 0.1, "told": True, "text": "0.50 <loop>"}
    assert concepts["L2N3"]["told"] is False


@pytest.mark.parametrize("content", ["{", "[]", '{"neurons": [{"layer": 0}]}', '{"neurons": [{"layer": -1}]}'])
def test_a_damaged_file_is_refused_with_the_way_out(tmp_path: Path, content: str) -> None:
    (tmp_path / "concept_names.json").write_text(content)
    with pytest.raises(RunFolderError, match=r"concept_names\.json is damaged: .*; report --names writes it anew"):
        read_names(tmp_path)
