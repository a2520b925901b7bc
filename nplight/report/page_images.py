"""The charts of a run as images for print and for pages without JavaScript."""

from __future__ import annotations

from nplight.report.result_figures import selectivity_values
from nplight.report.run_charts import run_charts
from nplight.report.run_data import Run
from nplight.report.static_chart import static_chart, static_selectivity
from nplight.report.static_style import as_data_uri, paper_style

_WIDTH = 190.0
"""Millimetres."""


def page_images(run: Run) -> dict[str, str]:
    """Name of a chart -> data URI of an SVG, light and without its title."""
    images = {}
    with paper_style(outlines=False):
        for name, chart in run_charts(run).items():
            images[name] = as_data_uri(static_chart(chart, _WIDTH))
        accuracy = selectivity_values(run)
        if accuracy is not None:
            images["selectivity"] = as_data_uri(static_selectivity(run.names, accuracy, None, _WIDTH / 2))
    return images
