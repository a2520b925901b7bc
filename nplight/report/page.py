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

from nplight.report.category_view import category_view
from nplight.report.normalised_faithfulness import LEGEND, areas
from nplight.report.page_data import contents, to_json
from nplight.report.page_values import quadrature_rules, run_again, selectivity_caption, similar_pairs
from nplight.report.path_rows import Advance, unseen
from nplight.report.result_sections import deviations, headline, measured_texts, summary
from nplight.report.run_data import Run, read_run
from nplight.report.run_verdict import run_verdict
from nplight.report.strip_layout import LAYOUT
from nplight.report.strip_view import strip_view
from nplight.store import RunFolder
from nplight.store.file_names import REPORT

SCRIPTS = (
    "elements",
    "unpack",
    "data",
    "address",
    "pickers",
    "heat_map",
    "tables",
    "strip",
    "image_paths",
    "support",
    "comparison",
    "neuron_card",
    "category_table",
    "neighbours",
    "pictures",
    "charts",
    "main",
)
"""The files of the page's script, in the order in which they run."""


def report_html(run: Run, advance: Advance = unseen) -> str:
    """The page of a run, including its script and drawing library.

    The templates escape every value; the data of the script is base64. The page's content security policy allows no
    external resource.

    Args:
        run: the run.
        advance: called with the number of rows after each group of rows is read.
    """
    page_contents = contents(run, advance)
    main, names = next(iter(page_contents.strips), None), page_contents.data["names"]
    pictures = page_contents.data["pictures"]
    return page_template("page.html").render(
        run=run,
        contents=page_contents,
        main=main,
        verdicts=[sentence for sentence in [run_verdict(run)] if sentence],
        strip=main and strip_view(page_contents.strips[main], 0, search=main, names=names, pictures=pictures),
        other_height=LAYOUT["other"],
        pictured=any(driver["images"] for driver in pictures.get("drivers", ())),
        categories=main and category_view(run, main, page_contents.data["methods"][main]["categories"], names),
        selectivity_caption=selectivity_caption(run),
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
        script=page_script(),
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


def page_script() -> Markup:
    """The page's script: its files, one after another, as the body of one function."""
    parts = Markup("\n").join(page_asset(f"{name}.js") for name in SCRIPTS)
    return Markup('"use strict";\n(async () => {\n') + parts + Markup("})();\n")


@functools.cache
def _plotly() -> str:
    return packed(get_plotlyjs())


def packed(text: str) -> str:
    """Text as base64 of gzip: about half the size, and without characters that are special in HTML."""
    return base64.b64encode(gzip.compress(text.encode(errors="backslashreplace"), mtime=0)).decode()
