"""The page: a single self-contained HTML file."""

from __future__ import annotations

import base64
import functools
import gzip
import os
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from nplight.report.category_view import category_view
from nplight.report.normalised_faithfulness import LEGEND, areas
from nplight.report.page_data import contents, run_name, to_json
from nplight.report.page_images import page_images
from nplight.report.page_values import quadrature_rules, run_again, selectivity_caption, similar_pairs
from nplight.report.path_rows import Advance, unseen
from nplight.report.picture_files import write_picture_files
from nplight.report.result_sections import deviations, headline, measured_texts, summary
from nplight.report.run_data import Run, read_run
from nplight.report.run_verdict import run_verdict
from nplight.report.strip_layout import LAYOUT
from nplight.report.strip_view import strip_view
from nplight.store import RunFolder
from nplight.store.file_names import COMPARED_REPORT, REPORT

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


def report_html(run: Run, advance: Advance = unseen, *, beside: Run | None = None, files: str | None = None) -> str:
    """The page of a run, or of two, including its script and drawing library.

    The templates escape every value; the data of the script is base64. The page's content security policy allows no
    external resource.

    Args:
        run: the run.
        advance: called with the number of rows after each group of rows is read.
        beside: a second run, whose paths can be shown beside those of the first.
        files: where the picture files of the neurons are, relative to the page; `None`: there are none.

    Raises:
        ArgumentError: `beside` has other categories or layers.

    Examples:
        >>> from nplight.report import read_run, report_html
        >>> page = report_html(read_run("runs/digits"))
        >>> "<title>digits – neuron paths</title>" in page, 'src="http' in page
        (True, False)
    """
    page_contents = contents(run, advance, beside)
    page_contents.data["pictureFiles"] = files
    runs = [run] if beside is None else [run, beside]
    main, names = next(iter(page_contents.strips), None), page_contents.data["names"]
    pictures = page_contents.data["pictures"]
    return page_template("page.html").render(
        run=run,
        contents=page_contents,
        images=page_images(run),
        main=main,
        verdicts=[(run_name(each), sentence) for each in runs if (sentence := run_verdict(each))],
        strip=main and strip_view(page_contents.strips[main], 0, search=main, names=names, pictures=pictures),
        other_height=LAYOUT["other"],
        pictured=any(driver["images"] for driver in pictures.get("drivers", ())),
        categories=main and category_view(run, main, page_contents.data["methods"][main]["categories"], names),
        selectivity_caption=selectivity_caption(run),
        title=" and ".join(map(run_name, runs)),
        run_names=list(map(run_name, runs)),
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


def write_report(
    directory: str | Path,
    advance: Advance = unseen,
    *,
    beside: str | Path | None = None,
    pictures: Path | None = None,
) -> Path:
    """Write `report.html` into a run folder, from the files of the folder; `compared.html` with a second run.

    Args:
        directory: the run folder.
        advance: called with the number of rows after each group of rows is read; they add up to `Run.rows`.
        beside: the folder of a second run.
        pictures: a folder for a picture file of every neuron, to which the page has links.

    Returns:
        The path of the page.

    Raises:
        RunFolderError: there is no run, it is damaged, or it cannot be written.
        ArgumentError: the second run has other categories or layers, or there are no pictures to write.

    Examples:
        >>> from nplight.report import read_run, write_report
        >>> read = []
        >>> write_report("runs/digits", read.append).as_posix()
        'runs/digits/report.html'
        >>> sum(read) == read_run("runs/digits").rows
        True
    """
    folder = RunFolder(directory)
    name = REPORT if beside is None else COMPARED_REPORT
    run, other = read_run(directory), None if beside is None else read_run(beside)
    files = None
    if pictures is not None:
        write_picture_files(run, pictures)
        files = _address(pictures, folder.path)
    folder.write(name, report_html(run, advance, beside=other, files=files))
    return folder.path / name


def _address(target: Path, folder: Path) -> str:
    """A folder as a page in another refers to it."""
    return quote(Path(os.path.relpath(target.resolve(), folder.resolve())).as_posix())


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
