"""The browser, and a finished run whose names would do harm."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.report.browser import started
from tests.report.samples import HOSTILE


@pytest.fixture(scope="session")
def driver() -> Iterator[Chrome]:
    """One browser for all tests of pages."""
    with started() as driver:
        yield driver


@pytest.fixture
def hostile(finished: Path, tmp_path: Path) -> Path:
    """The same run, with names that would do harm if they could."""
    folder = tmp_path / "<img src=x onerror='window.hacked = 1'>"
    shutil.copytree(finished, folder)
    about = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**about, "names": HOSTILE, "model": HOSTILE[1]}))
    pictures = json.loads((folder / "pictures.json").read_text())
    for place, one in enumerate(pictures["pictures"]):
        one["file"] = HOSTILE[place % len(HOSTILE)]
    (folder / "pictures.json").write_text(json.dumps(pictures))
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps({**metrics, "notes": list(HOSTILE)}))
    return folder
