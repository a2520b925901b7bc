"""Figures of a run for the Trainer's loggers."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import torch

from nplight.metrics import MEASURES, drawing
from nplight.report.normalised_faithfulness import draw_normalised
from nplight.report.result_figures import draw_faithfulness, draw_pruning, draw_selectivity
from nplight.report.run_data import Run
from nplight.report.sanity_figures import draw_sanity, draw_stability


def log_figures(loggers: Iterable[Any], run: Run, *, step: int) -> list[str]:
    """Log the figures of a run to the loggers that support figures.

    Weights & Biases, MLflow and Comet get Plotly figures; TensorBoard, which supports matplotlib alone, gets matplotlib
    figures if that is installed. Loggers are recognised by class name, so that none of them has to be installed.

    Args:
        loggers: of the Trainer.
        run: the run.
        step: the step at which the figures are logged.

    Returns:
        The class names of the loggers that took figures.
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
        elif kind == "TensorBoardLogger" and find_spec("matplotlib") is not None:
            for name, figure in _matplotlib(run).items():
                logger.experiment.add_figure(name, figure, step)
        else:
            continue
        logged_by.append(kind)
    return logged_by


def _plotly(run: Run) -> dict[str, Any]:
    drawn = (
        ("pruning", draw_pruning(run)),
        ("faithfulness", draw_faithfulness(run)),
        ("normalised", draw_normalised(run)),
        ("selectivity", draw_selectivity(run)),
        ("stability", draw_stability(run)),
        ("sanity", draw_sanity(run)),
    )
    return {f"paths/{name}": figure for name, figure in drawn if figure is not None}


def _matplotlib(run: Run) -> dict[str, Any]:
    from matplotlib.figure import Figure

    figures = {}
    rows = run.metrics.get("conditions", [])
    if any(row["condition"] == "kept" for row in rows):
        figures["paths/pruning"], _ = drawing.draw_pruning(
            rows, Figure(layout="constrained").subplots(), MEASURES["accuracy"]
        )
    if run.selectivity:
        accuracy = 100 * torch.tensor(run.selectivity["accuracy"], dtype=torch.float64)
        axes = Figure(layout="constrained").subplots()
        labels = {"rows": "images of category", "columns": "path of category", "unit": "top-1 accuracy, %"}
        figures["paths/selectivity"], _ = drawing.draw_matrix(accuracy, axes, **labels)
    return figures
