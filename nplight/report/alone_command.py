"""Measuring the removal of each neuron alone, for `report RUN --alone`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nplight.errors import ArgumentError
from nplight.modules.model_of_run import model_of_run
from nplight.neurons import Tokens
from nplight.report.alone_file import write_alone
from nplight.report.path_users import path_users
from nplight.report.run_data import Run
from nplight.results.removed_alone import DRAWS, RemovedAlone, removed_alone


def measure_alone(
    run: Run, device: str = "cpu", advance: Callable[[int], object] = lambda images: None
) -> tuple[Path, list[RemovedAlone]]:
    """Remove each neuron of the category paths alone, on the held-out images of the categories that use it.

    Args:
        run: a run of the command line, whose model and data are built anew.
        device: where the model runs.
        advance: called with the number of images after each batch.

    Returns:
        The file that was written, and what was measured.

    Raises:
        ArgumentError: the run has no category paths, or its images have no labels.
        RunFolderError: the model or the data are others now.
    """
    users = path_users(run)
    if not users:
        raise ArgumentError(f"`alone` needs a run with category paths, but {run.path} has none; validate makes them")
    model = model_of_run(run.path, device)
    all_paths = [run.category_paths(search) for search in run.methods]
    tokens: Tokens = "all" if any(paths is not None and paths.tokens == "all" for paths in all_paths) else "path"
    seed = int(run.settings.get("evaluation", {}).get("seed", 0))
    measured = removed_alone(model.vit, model.held_out(), users, tokens=tokens, seed=seed, advance=advance)
    settings = {"tokens": tokens, "draws": DRAWS, "seed": seed, "measure": "probability_deviation"}
    return write_alone(model.folder, measured, settings), measured
