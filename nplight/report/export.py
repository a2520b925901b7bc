"""Export of the figures of a run to files."""

from __future__ import annotations

from pathlib import Path

import plotly.io

from nplight.errors import ArgumentError
from nplight.report.page_data import contents
from nplight.report.run_data import read_run

FORMATS = ("svg", "png")
_WIDTH = 900


def export_figures(directory: str | Path, target: Path) -> list[Path]:
    """Write every figure of a run as SVG and PNG; needs `nplight[figures]` and Chrome or Chromium.

    Args:
        directory: the run folder.
        target: the folder, created if missing.

    Returns:
        The files.

    Raises:
        RunFolderError: there is no run, or it is damaged.
        ArgumentError: the drawing packages are not installed, or there is nothing to draw.
    """
    figures = contents(read_run(directory)).figures
    if not figures:
        raise ArgumentError(f"`directory` must be a run with paths or metrics to draw, and {directory} has neither")
    paths = [target / f"{name}.{form}" for name in figures for form in FORMATS]
    try:
        target.mkdir(parents=True, exist_ok=True)
        drawn = [figure for figure in figures.values() for _ in FORMATS]
        for figure in drawn:
            figure.update_layout(paper_bgcolor="white", margin_t=80)
        heights = [figure.layout.height + 40 for figure in drawn]
        plotly.io.write_images(fig=drawn, file=paths, scale=2, width=_WIDTH, height=heights)
    except (ImportError, ValueError, RuntimeError, OSError) as error:
        raise ArgumentError(
            f"`--figures` needs nplight[figures] (kaleido), Chrome or Chromium, and a folder that can be written to: "
            f"{error}"
        ) from error
    return paths
