"""The tutorials run, and show what they print."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

from tests.docs.notebooks import NOTEBOOKS, ROOT, code_cells, outputs, read, run


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    notebook = read(path)
    with warnings.catch_warnings():  # a notebook that silences warnings does so for itself alone
        results = run(notebook)
    for cell, shown in zip(code_cells(notebook), results):
        assert kinds(shown) == kinds(cell["outputs"]), "python -m tests.docs.notebooks stores what the cells print"
    capfd.readouterr()


def kinds(shown: list[dict[str, object]]) -> list[object]:
    """What kind of outputs there are; numbers may differ from machine to machine by rounding."""
    return [output["output_type"] for output in shown]


def test_notebooks_are_small_and_name_no_machine() -> None:
    assert len(NOTEBOOKS) == 5
    for path in NOTEBOOKS:
        text = path.read_text(encoding="utf-8")
        assert len(text) < 100_000, path.name
        assert not re.search(r"/(?:home|root|tmp|Users)/", text), path.name


def test_the_index_lists_every_notebook() -> None:
    index = (ROOT / "docs" / "tutorials" / "index.md").read_text(encoding="utf-8")
    assert [f"({path.name})" in index for path in NOTEBOOKS] == [True] * len(NOTEBOOKS)


def test_outputs_are_what_is_printed_then_the_last_value() -> None:
    names: dict[str, object] = {}
    assert outputs("x = 2", names) == []
    assert outputs("print('one')\nx + 1", names) == [
        {"output_type": "stream", "name": "stdout", "text": ["one\n"]},
        {"output_type": "execute_result", "execution_count": None, "metadata": {}, "data": {"text/plain": ["3"]}},
    ]
