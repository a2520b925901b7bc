"""Every promise of docs/reliability.md names tests that hold it, and they are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def named_tests(text: str) -> list[list[str]]:
    """What each row of the tables in a text names as its tests, in its last cell."""
    rows = re.findall(r"^\| (?!promise \||rule \|).* \| (.*) \|$", text, re.MULTILINE)
    return [re.findall(r"`([^`]*)`", row) for row in rows]


def missing(rows: list[list[str]]) -> list[str]:
    """Those of the named tests that are not there, and an empty name for each row without one."""
    lacking, file = [""] * rows.count([]), ""
    for name in (name for row in rows for name in row):
        path, _, test = name.partition("::")
        file = file if path == "…" else path
        tree = ast.parse((ROOT / "tests" / file).read_text())
        tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if not (test in tests if test else any(one.startswith("test_") for one in tests)):
            lacking.append(name)
    return lacking


def test_every_promise_is_held_by_tests_that_are_there() -> None:
    rows = named_tests((ROOT / "docs" / "reliability.md").read_text())
    assert len(rows) > 40
    assert missing(rows) == []
