"""The page: a single self-contained HTML file."""

from __future__ import annotations

import base64
import functools
import gzip
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from nplight.report.normalised_faithfulness import LEGEND, areas
from nplight.report.page_data import contents, to_json
from nplight.report.page_images import page_images
from nplight.report.page_values import quadrature_rules, run_again, similar_pairs
from nplight.report.path_rows import Advance, unseen
from nplight.report.result_sections import deviations, headline, measured_texts, summary
from nplight.report.run_data import Run, read_run
from nplight.store import RunFolder
from nplight.store.file_names import REPORT


def report_html(run: Run, advance: Advance = unseen) -> str:
    """The page of a run, including its script and drawing library.

    The templates escape every value; the data of the script is base64. The page's content security policy allows no
    external resource.

    Args:
        run: the run.
        advance: called with the number of rows after each group of rows is read.
    """
    page_contents = contents(run, advance)
    return page_template("page.html").render(
        run=run,
        contents=page_contents,
        images=page_images(run),
        title=run.path.resolve().name,
        headline=headline(run),
        summary=summary(run),
        deviations=deviations(run),
        measured=measured_texts(run),
        areas=areas(run),
        areas_legend=LEGEND,
        similar_pairs=similar_pairs(run, page_contents),
        rules=quadrature_rules(run),
        command=run_again(run),
        style=page_asset("page.css"),
        script=page_asset("page.js"),
        data=packed(to_json(page_contents)),
        plotly=_plotly(),
    )


@functools.cache
def page_template(name: str) -> Template:
    """A template of a page, which escapes every value and raises for undefined ones."""
    environment = Environment(
        loader=PackageLoader("nplight.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def write_report(directory: str | Path, advance: Advance = unseen) -> Path:
    """Write `report.html` into a run folder, from the files of the folder.

    Args:
        directory: the run folder.
        advance: called with the number of rows after each group of rows is read; they add up to `Run.rows`.

    Returns:
        The path of the page.

    Raises:
        RunFolderError: there is no run, it is damaged, or it cannot be written.
    """
    folder = RunFolder(directory)
    folder.write(REPORT, report_html(read_run(directory), advance))
    return folder.path / REPORT


def page_asset(name: str) -> Markup:
    """A style or script of the package itself: the only text that is not escaped."""
    return Markup((files("nplight.report") / "assets" / name).read_text(encoding="utf-8"))


@functools.cache
def _plotly() -> str:
    return packed(get_plotlyjs())


def packed(text: str) -> str:
    """Text as base64 of gzip: about half the size, and without characters that are special in HTML."""
    return base64.b64encode(gzip.compress(text.encode(errors="backslashreplace"), mtime=0)).decode()
