"""The command `report RUN`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from nplight.errors import ArgumentError
from nplight.report.alone_command import measure_alone
from nplight.report.concept_command import name_neurons
from nplight.report.export import check_figures, export_figures
from nplight.report.figure_settings import FigureSettings, parsed_settings
from nplight.report.page import write_report
from nplight.report.run_data import Run, read_run
from nplight.terminal import ImagesPerSecond, ticks_per_second

_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    TimeRemainingColumn(),
    ImagesPerSecond(ticks_per_second),
)


def report_command(arguments: Sequence[str]) -> None:
    """Write the report of a finished run, and optionally its figures as files.

    Args:
        arguments: of the command line, after `report`.

    Raises:
        RunFolderError: there is no run, it is damaged, or it cannot be written.
        ArgumentError: a setting of the figures is wrong, or the run lacks a category or search, or the second run has
            other categories or layers.

    Examples:
        >>> from nplight.report import report_command
        >>> report_command(["runs/digits"])
        Report: runs/digits/report.html
    """
    parser = argparse.ArgumentParser(
        prog="train.py report",
        description="Write the page report.html of a finished run, or that of two runs side by side.",
        allow_abbrev=False,
    )
    parser.add_argument("run", metavar="RUN", help="the run folder")
    help_other = "a second run of the same categories and layers; the page of both is RUN/compared.html"
    parser.add_argument("other", metavar="RUN2", nargs="?", help=help_other)
    help_pictures = "also write the pictures of every neuron there, one PNG each, and link them from the page"
    parser.add_argument("--pictures", metavar="DIR", type=Path, help=help_pictures)
    parser.add_argument(
        "--names",
        metavar="TABLE",
        type=Path,
        help="name the neurons of the paths by words of the images: a CSV file with `index` or `file` and a column per "
        "word, or an NPZ file of embeddings",
    )
    help_alone = "measure what the removal of each neuron of the paths alone does to the categories that use it"
    parser.add_argument("--alone", action="store_true", help=help_alone)
    help_device = "where the model runs for --names and --alone"
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help=help_device)
    _add_figure_options(parser)
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    chosen = parser.parse_args(arguments)
    figures = _figure_settings(chosen)
    console = Console(quiet=chosen.quiet, highlight=False, soft_wrap=True)
    with Progress(*_COLUMNS, console=console, transient=True, disable=not console.is_terminal) as progress:
        run = read_run(chosen.run)
        if figures is not None:
            check_figures(run, chosen.figures, figures)
        if chosen.names is not None:
            _name_neurons(run, chosen, console)
        if chosen.alone:
            _remove_alone(run, chosen.device, progress)
        total = run.rows + (0 if chosen.other is None else read_run(chosen.other).rows)
        task = progress.add_task("Reading paths", total=total)
        path = write_report(
            chosen.run, lambda rows: progress.advance(task, rows), beside=chosen.other, pictures=chosen.pictures
        )
    console.print(f"Report: {path}", markup=False)
    if chosen.pictures is not None:
        console.print(f"Pictures of neurons: {chosen.pictures}", markup=False)
    if figures is not None:
        for path in export_figures(chosen.run, chosen.figures, figures):
            console.print(f"Figure: {path}", markup=False)


def _name_neurons(run: Run, chosen: argparse.Namespace, console: Console) -> None:
    """Name the neurons of the run's paths, and print where the names are and how many are told from chance."""
    path, names = name_neurons(run, chosen.names, chosen.device)
    told = sum(name.told for name in names.values())
    console.print(
        f"Names: {path} ({told} of {len(names)} neurons above chance; {0.05 * len(names):.0f} would be by chance)",
        markup=False,
    )


def _remove_alone(run: Run, device: str, progress: Progress) -> None:
    """Measure the removal of each neuron alone, and print where the results are and how many differ from random."""
    images = next((row.get("images") for row in run.metrics.get("conditions", ())), None)
    task = progress.add_task("Removing neurons", total=images)
    path, measured = measure_alone(run, device, lambda count: progress.advance(task, count))
    progress.remove_task(task)
    apart = sum(one.difference.high < 0 for one in measured)
    by_chance = 0.025 * len(measured)
    progress.console.print(
        f"Removed alone: {path} ({apart} of {len(measured)} neurons of a category lower its probability more than "
        f"random neurons; {by_chance:.0f} would be by chance)",
        markup=False,
    )


def _add_figure_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--figures", metavar="DIR", type=Path, help="also write the figures for a paper there")
    parser.add_argument(
        "--category", metavar="LIST", help="categories to draw, such as 3,5, by number or name; default: all, up to 20"
    )
    parser.add_argument("--search", metavar="LIST", help="searches and controls to draw, at most 8; default: the first")
    parser.add_argument("--width", metavar="WIDTH", help="of a figure, such as 85mm, 3.5in; default: 170mm")
    parser.add_argument("--format", metavar="LIST", help="of the files: pdf, svg, png; default: pdf,svg")


def _figure_settings(chosen: argparse.Namespace) -> FigureSettings | None:
    """The settings of the figures; `None` without `--figures`.

    Raises:
        ArgumentError: a setting is wrong, or is given without `--figures`.
    """
    options = {name: getattr(chosen, name) for name in ("category", "search", "width", "format")}
    if chosen.figures is None:
        for name, value in options.items():
            if value is not None:
                raise ArgumentError(f"`--{name}` is of the figures: give `--figures DIR` with it, got {value!r} alone")
        return None
    width, formats = options["width"] or "170mm", options["format"] or "pdf,svg"
    return parsed_settings(options["category"], options["search"], width, formats)
