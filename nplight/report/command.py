"""The command `report RUN`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from nplight.report.export import export_figures
from nplight.report.page import write_report
from nplight.report.run_data import read_run
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
        ArgumentError: the second run has other categories or layers.
    """
    parser = argparse.ArgumentParser(
        prog="train.py report",
        description="Write the page report.html of a finished run, or that of two runs side by side.",
        allow_abbrev=False,
    )
    parser.add_argument("run", metavar="RUN", help="the run folder")
    help_other = "a second run of the same categories and layers; the page of both is RUN/compared.html"
    parser.add_argument("other", metavar="RUN2", nargs="?", help=help_other)
    parser.add_argument("--figures", metavar="DIR", type=Path, help="also write the figures there, as SVG and PNG")
    help_pictures = "also write the pictures of every neuron there, one PNG each, and link them from the page"
    parser.add_argument("--pictures", metavar="DIR", type=Path, help=help_pictures)
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    chosen = parser.parse_args(arguments)
    console = Console(quiet=chosen.quiet, highlight=False, soft_wrap=True)
    with Progress(*_COLUMNS, console=console, transient=True, disable=not console.is_terminal) as progress:
        total = sum(read_run(run).rows for run in (chosen.run, chosen.other) if run is not None)
        task = progress.add_task("Reading paths", total=total)
        path = write_report(
            chosen.run, lambda rows: progress.advance(task, rows), beside=chosen.other, pictures=chosen.pictures
        )
    console.print(f"Report: {path}", markup=False)
    if chosen.pictures is not None:
        console.print(f"Pictures of neurons: {chosen.pictures}", markup=False)
    if chosen.figures is not None:
        for path in export_figures(chosen.run, chosen.figures):
            console.print(f"Figure: {path}", markup=False)
