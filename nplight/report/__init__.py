"""The report of a run: an HTML page, and Plotly figures."""

from nplight.report.arrangement import clustered, image_plane
from nplight.report.command import report_command
from nplight.report.export import export_figures
from nplight.report.figure_logging import log_figures
from nplight.report.figure_settings import FigureSettings
from nplight.report.gallery import Gallery
from nplight.report.neuron_use import neuron_use, particular_neurons, shared_neurons
from nplight.report.page import report_html, write_report
from nplight.report.path_rows import read_rows
from nplight.report.run_data import Run, read_run
from nplight.report.run_figures import (
    depth_figure,
    dose_figure,
    faithfulness_figure,
    image_map_figure,
    neuron_use_figure,
    normalised_figure,
    paths_figure,
    pruning_figure,
    sanity_figure,
    selectivity_figure,
    similarity_figure,
    stability_figure,
)

__all__ = [
    "FigureSettings",
    "Gallery",
    "Run",
    "clustered",
    "depth_figure",
    "dose_figure",
    "export_figures",
    "faithfulness_figure",
    "image_map_figure",
    "image_plane",
    "log_figures",
    "neuron_use",
    "neuron_use_figure",
    "normalised_figure",
    "particular_neurons",
    "paths_figure",
    "pruning_figure",
    "read_rows",
    "read_run",
    "report_command",
    "report_html",
    "sanity_figure",
    "selectivity_figure",
    "shared_neurons",
    "similarity_figure",
    "stability_figure",
    "write_report",
]
