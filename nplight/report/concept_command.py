"""Naming the neurons of a run's category paths, for `report RUN --names TABLE`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from nplight.data import ImageBatch
from nplight.data.word_table import read_word_table
from nplight.errors import ArgumentError
from nplight.modules.model_of_run import model_of_run
from nplight.report.concept_file import write_names
from nplight.report.path_users import path_neurons
from nplight.report.run_data import Run
from nplight.results.neuron_names import CONTROLS, ConceptName, Neuron, concept_names


def name_neurons(run: Run, table: str | Path, device: str = "cpu") -> tuple[Path, dict[Neuron, ConceptName]]:
    """Name the neurons of the category paths by the words of all images of a run, discover and held-out.

    Args:
        run: a run of the command line, whose model and data are built anew.
        table: a file that `read_word_table` reads.
        device: where the model runs.

    Returns:
        The file that was written, and the names.

    Raises:
        ArgumentError: the run has no category paths, or the table is wrong or lacks an image.
        RunFolderError: the model or the data are others now.
    """
    words = read_word_table(table)
    neurons = path_neurons(run)
    if not neurons:
        raise ArgumentError(f"`names` needs a run with category paths, but {run.path} has none; validate makes them")
    model = model_of_run(run.path, device)
    paths = run.category_paths(run.methods[0])
    vit = model.vit.with_all_tokens() if paths is not None and paths.tokens == "all" else model.vit

    def images() -> Iterator[ImageBatch]:
        return chain(model.discover(), model.held_out())

    names = concept_names(vit, images, neurons, words)
    settings = {"table": Path(table).name, "words": list(words.words), "images": len(words), "controls": CONTROLS}
    return write_names(model.folder, names, settings), names
