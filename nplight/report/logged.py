"""Figures for whatever loggers there are."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import torch

from nplight.metrics import MEASURES, drawing
from nplight.report.result_figures import draw_faithfulness, draw_pruning, draw_selectivity
from nplight.report.run_data import Run


def log_figures(loggers: Iterable[Any], run: Run, *, step: int) -> list[str]:
    """Hand the figures of a run to the loggers that take any.

    Weights & Biases, MLflow and Comet get Plotly's; TensorBoard, which takes matplotlib's alone, gets those where that
    is installed. Which they are, their classes' names tell, so that none has to be installed.

    Args:
        loggers: Lightning's.
        run: the run.
        step: at which they are logged.

    Returns:
        The classes of the loggers that took them.
    """
    figures = _plotly(run)
    took = []
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
        took.append(kind)
    return took


def _plotly(run: Run) -> dict[str, Any]:
    made = (
        ("pruning", draw_pruning(run)),
        ("faithfulness", draw_faithfulness(run)),
        ("selectivity", draw_selectivity(run)),
    )
    return {f"paths/{name}": figure for name, figure in made if figure is not None}


def _matplotlib(run: Run) -> dict[str, Any]:
    from matplotlib.figure import Figure

    found = {}
    rows = run.metrics.get("conditions", [])
    if any(row["condition"] == "kept" for row in rows):
        found["paths/pruning"], _ = drawing.draw_pruning(
            rows, Figure(layout="constrained").subplots(), MEASURES["accuracy"]
        )
    if run.selectivity:
        accuracy = 100 * torch.tensor(run.selectivity["accuracy"], dtype=torch.float64)
        axes = Figure(layout="constrained").subplots()
        words = {"rows": "images of category", "columns": "path of category", "unit": "top-1 accuracy, %"}
        found["paths/selectivity"], _ = drawing.draw_matrix(accuracy, axes, **words)
    return found
