"""Every promise of docs/reliability.md names tests that hold it, and they are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def promises() -> list[list[str]]:
    """What each row of the tables names as its tests."""
    text = (ROOT / "docs" / "reliability.md").read_text()
    rows = re.findall(r"^\| (?!promise \|).* \| (.*) \|$", text, re.MULTILINE)
    return [re.findall(r"`([^`]*)`", row) for row in rows]


def test_every_promise_is_held_by_tests_that_are_there() -> None:
    rows, file = promises(), ""
    assert len(rows) > 40
    for row in rows:
        assert row
        for name in row:
            path, _, test = name.partition("::")
            file = file if path == "…" else path
            tree = ast.parse((ROOT / "tests" / file).read_text())
            there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            assert test in there if test else any(one.startswith("test_") for one in there), name
