"""The site is built without a warning, needs no network, and its search finds what people look for."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.reference_pages import API, definition
from tests.docs.pages import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    variables = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "WARNING" not in built.stdout + built.stderr
    return folder


def test_the_pages_load_nothing_from_a_network(site: Path) -> None:
    loaded = r'<(?:script|img|link|iframe|source)\b[^>]*\b(?:src|href)="((?:https?:)?//[^"]*)"'
    checked = 0
    for page in site.rglob("*.html"):
        if page.name != "example_report.html":  # a report of the library's own, held by its own tests
            assert re.findall(loaded, page.read_text(encoding="utf-8")) == [], page.name
            checked += 1
    assert checked > 50


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("tolerance", "explanation/tolerance.html"),
        ("random control", "explanation/controls.html"),
        ("shrink", "tutorials/shrinking.html"),
    ],
)
def test_the_search_index_has_what_people_look_for(site: Path, words: str, page: str) -> None:
    entries = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]
    found = {
        entry["location"].partition("#")[0]
        for entry in entries
        if all(word in f"{entry['title']} {entry['text']}".lower() for word in words.split())
    }
    assert page in found


def test_every_public_name_has_its_place(site: Path) -> None:
    shown = "".join((site / "reference" / "api" / f"{name.rpartition('.')[2]}.html").read_text() for name in API)
    count = 0
    for package in API:
        for name in importlib.import_module(package).__all__:
            assert f'id="{definition(package, name)}"' in shown, f"{package}.{name}"
            count += 1
    assert count > 200


def test_notebooks_are_pages_with_what_they_print(site: Path) -> None:
    page = (site / "tutorials" / "planted_paths.html").read_text(encoding="utf-8")
    assert 'href="planted_paths.ipynb" download' in page
    assert "joint_positive_gradients" in page
    assert (site / "tutorials" / "planted_paths.ipynb").is_file()


def test_files_of_the_root_are_pages(site: Path) -> None:
    assert "Adding a method" in (site / "project" / "contributing.html").read_text(encoding="utf-8")
    assert "0.2.0" in (site / "project" / "changelog.html").read_text(encoding="utf-8")
    assert "../project/contributing.html" in (site / "how_to" / "own_method.html").read_text(encoding="utf-8")
