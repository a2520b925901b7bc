"""The page: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import functools
import gzip
import re
from importlib.resources import files
from pathlib import Path

from plotly.offline import get_plotlyjs

from nplight.report.html import escape, options
from nplight.report.page_data import contents, to_json
from nplight.report.path_rows import Advance, unseen
from nplight.report.run_data import Run, read_run
from nplight.report.sections import all_sections
from nplight.store import RunFolder
from nplight.store.file_names import REPORT


def report_html(run: Run, advance: Advance = unseen) -> str:
    """The page of a run, its script and its drawing library inside; `advance` is told of every rows that are read.

    No name from outside reaches the page but escaped, or inside base64 that the script reads as JSON; and the page's
    policy lets nothing be loaded.
    """
    found = contents(run, advance)
    parts = all_sections(run, found)
    assets = files("nplight.report") / "assets"
    filled = {
        "title": escape(run.path.resolve().name),
        "style": (assets / "page.css").read_text(encoding="utf-8"),
        "script": (assets / "page.js").read_text(encoding="utf-8"),
        "links": "".join(f'<a href="#{name}">{escape(title)}</a>' for name, title, _ in parts),
        "searches": "".join(
            f'<option value="{escape(name)}">{escape(name)}</option>' for name in found.data["methods"]
        ),
        "categories": options(found.data["names"]),
        "sections": "".join(text for _, _, text in parts),
        "data": packed(to_json(found)),
        "plotly": _plotly(),
    }
    page = (assets / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: filled[match[1]], page)


def write_report(directory: str | Path, advance: Advance = unseen) -> Path:
    """Write `report.html` into a run folder, from what the folder holds.

    Args:
        directory: the run folder.
        advance: called with the number of rows whenever some are read, of all `Run.rows`.

    Returns:
        Where the page is.

    Raises:
        RunFolderError: no run is there, it is damaged, or it cannot be written.
    """
    folder = RunFolder(directory)
    folder.write(REPORT, report_html(read_run(directory), advance))
    return folder.path / REPORT


@functools.cache
def _plotly() -> str:
    return packed(get_plotlyjs())


def packed(text: str) -> str:
    """Text as base64 of gzip: half the size, and no character of it means anything in HTML."""
    return base64.b64encode(gzip.compress(text.encode(errors="backslashreplace"), mtime=0)).decode()
