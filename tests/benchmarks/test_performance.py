"""docs/performance.md holds what the benchmarks wrote, and no other number."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.performance import page

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_its_command_writes() -> None:
    results = (ROOT / "benchmarks" / "results" / f"{name}.json" for name in ("search", "scaling", "agreement"))
    text = page(*(json.loads(result.read_text()) for result in results))
    assert (ROOT / "docs" / "performance.md").read_text(encoding="utf-8") == text
