"""Figures of a run for the Trainer's loggers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nplight.report.plotly_chart import plotly_chart
from nplight.report.result_figures import draw_selectivity, selectivity_values
from nplight.report.run_charts import run_charts
from nplight.report.run_data import Run
from nplight.report.static_chart import static_chart, static_selectivity
from nplight.report.static_style import paper_style

_WIDTH = 170.0
"""Millimetres."""


def log_figures(loggers: Iterable[Any], run: Run, *, step: int) -> list[str]:
    """Log the figures of a run to the loggers that support figures.

    Weights & Biases, MLflow and Comet get Plotly figures; TensorBoard, which supports matplotlib alone, gets matplotlib
    figures. Loggers are recognised by class name, so that none of them has to be installed.

    Args:
        loggers: of the Trainer.
        run: the run.
        step: the step at which the figures are logged.

    Returns:
        The class names of the loggers that took figures.

    Examples:
        >>> from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
        >>> from nplight.report import log_figures, read_run
        >>> logger = TensorBoardLogger("logs")
        >>> log_figures([CSVLogger("logs"), logger], read_run("runs/digits"), step=0)
        ['TensorBoardLogger']
        >>> logger.finalize("success")  # a Trainer does this at its end
    """
    figures = _plotly(run)
    logged_by = []
    for logger in loggers:
        kind = type(logger).__name__
        if kind == "WandbLogger":
            logger.experiment.log({**figures, "trainer/global_step": step})
        elif kind == "MLFlowLogger":
            for name, figure in figures.items():
                logger.experiment.log_figure(logger.run_id, figure, f"{name}.html")
        elif kind == "CometLogger":
            for name, figure in figures.items():
                logger.experiment.log_figure(figure_name=name, figure=figure, step=step)
        elif kind == "TensorBoardLogger":
            for name, figure in _matplotlib(run).items():
                logger.experiment.add_figure(name, figure, step)
        else:
            continue
        logged_by.append(kind)
    return logged_by


def _plotly(run: Run) -> dict[str, Any]:
    figures = {f"paths/{name}": plotly_chart(chart) for name, chart in run_charts(run).items()}
    selectivity = draw_selectivity(run)
    return figures if selectivity is None else {**figures, "paths/selectivity": selectivity}


def _matplotlib(run: Run) -> dict[str, Any]:
    with paper_style():
        figures = {f"paths/{name}": static_chart(chart, _WIDTH) for name, chart in run_charts(run).items()}
        accuracy = selectivity_values(run)
        if accuracy is not None:
            figures["paths/selectivity"] = static_selectivity(run.names, accuracy, None, _WIDTH / 2)
    return figures
